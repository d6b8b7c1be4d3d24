{%- set length = setting("line_item_title_length") -%}
-- depends_on: {{ ref("chosen_items") }}
with final_grades as (
    select
        class_sourced_id,
        program_id,
        course_id,
        cast(null as text) as item_id,
        cast(null as text) as item_id_part,
        {{ sectioned_id("lineItem", ["program_id_part", "course_id_part"], "section_id_part") }} as line_item_sourced_id,
        'Final grade' as category,
        'Final grade' as title,
        class_title as description
    from {{ ref("classes") }}
    where {{ is_graded_as_a_whole() }}
),

grades_of_items as (
    select
        program_id,
        course_id,
        item_id,
        max(item_grade_percent) as best_grade_percent,
        max(item_weight_percent) as most_weight_percent,
        max(extracted_at) as newest_read_at
    from {{ ref("stg_coursera__item_grades") }}
    where not {{ is_graded_as_a_whole() }}
    group by program_id, course_id, item_id
),

-- Each learner has a row for an item. The row that was read last describes the item.
known_items as (
    select
        items.*,
        grades_of_items.best_grade_percent,
        grades_of_items.most_weight_percent,
        row_number() over (
            partition by items.program_id, items.course_id, items.item_id
            order by items.changed_at desc nulls last, items.external_id nulls last
        ) as newest
    from {{ ref("stg_coursera__item_grades") }} as items
    inner join grades_of_items
        on items.program_id = grades_of_items.program_id
        and items.course_id = grades_of_items.course_id
        and items.item_id is not distinct from grades_of_items.item_id
        and items.extracted_at is not distinct from grades_of_items.newest_read_at
    left join {{ ref("gone_items") }} as gone
        on items.program_id = gone.program_id and items.course_id = gone.course_id and items.item_id = gone.item_id
    where gone.item_id is null
),

distinct_items as (
    select
        *,
        {{ id_part("item_id", within=["program_id", "course_id"]) }} as item_id_part,
        coalesce({{ one_line("item_name") }}, item_id) as name,
        {{ one_line("module_name") }} as module
    from known_items
    where newest = 1
),

gradable_items as (
    select
        *,
        left(coalesce(module || ': ', '') || name, {{ length }}) as start_of_title,
        -- The name of the item says more than the name of its module, so the module is shortened.
        coalesce(rtrim(left(module, {{ length - 2 }} - length(name))) || ': ', '') || name as title_with_whole_name
    from distinct_items
    where
        (most_weight_percent > 0 or best_grade_percent is not null)
        {%- if setting("grade_sync") == "granular_selected" %}
        and exists (
            select 1 from {{ ref("chosen_items") }} as chosen
            where {{ is_chosen("chosen", "distinct_items") }}
        )
        {%- endif %}
),

-- A teacher could not distinguish two columns with the same title. First the module is shortened, then the columns are numbered.
titled as (
    select
        *,
        rtrim(case
            when length(name) <= {{ length - 6 }}
                and count(*) over (partition by program_id, course_id, lower(rtrim(start_of_title))) > 1
            then title_with_whole_name
            else start_of_title
        end) as title
    from gradable_items
),

counted as (
    select
        *,
        row_number() over (partition by program_id, course_id, lower(title) order by item_order nulls last, item_id nulls last) as occurrence
    from titled
),

line_items_of_items as (
    select
        classes.class_sourced_id,
        items.program_id,
        items.course_id,
        items.item_id,
        items.item_id_part,
        {{ sectioned_id(
            "lineItem", ["classes.program_id_part", "classes.course_id_part"], "classes.section_id_part", ["items.item_id_part"]
        ) }} as line_item_sourced_id,
        case items.item_type
            when 'QUIZ' then 'Quiz'
            when 'PEER_REVIEW' then 'Peer review'
            when 'PROGRAMMING_ASSIGNMENT' then 'Programming assignment'
            when 'STAFF_GRADED_ASSIGNMENT' then 'Staff graded assignment'
            when 'DISCUSSION_PROMPT' then 'Discussion prompt'
            when 'LTI' then 'LTI'
            else 'Other'
        end as category,
        case
            when items.occurrence = 1 then items.title
            else rtrim(left(items.title, {{ length - 3 }} - length(cast(items.occurrence as text)))) || ' (' || items.occurrence || ')'
        end as title,
        {{ one_line("concat_ws(' / ', items.module_name, items.lesson_name, items.item_name)") }} as description
    from counted as items
    inner join {{ ref("classes") }} as classes
        on items.program_id = classes.program_id and items.course_id = classes.course_id
),

every_line_item as (
    select * from final_grades
    union all
    select * from line_items_of_items
)

select *, 'category.' || replace(lower(category), ' ', '-') as category_sourced_id
from every_line_item
