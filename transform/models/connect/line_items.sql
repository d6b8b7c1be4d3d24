with final_grades as (
    select
        class_sourced_id,
        program_id,
        course_id,
        cast(null as text) as item_id,
        cast(null as text) as item_id_part,
        {{ sourced_id("lineItem", ["program_id_part", "course_id_part"]) }} as line_item_sourced_id,
        'Final grade' as category,
        'Final grade' as title,
        class_title as description
    from {{ ref("classes") }}
    where '{{ grade_sync() }}' = 'final'
),

known_items as (
    select
        *,
        max(item_grade_percent) over (partition by program_id, course_id, item_id) as best_grade_percent,
        max(item_weight_percent) over (partition by program_id, course_id, item_id) as most_weight_percent,
        row_number() over (
            partition by program_id, course_id, item_id
            order by extracted_at desc, changed_at desc nulls last, external_id
        ) as newest
    from {{ ref("stg_coursera__item_grades") }}
    where '{{ grade_sync() }}' = 'granular_all'
),

told_apart as (
    select *, {{ id_part("item_id", within=["program_id", "course_id"]) }} as item_id_part
    from known_items
    where newest = 1
),

gradable_items as (
    select
        classes.class_sourced_id,
        items.program_id,
        items.course_id,
        items.item_id,
        items.item_id_part,
        {{ sourced_id("lineItem", ["classes.program_id_part", "classes.course_id_part", "items.item_id_part"]) }} as line_item_sourced_id,
        case items.item_type
            when 'QUIZ' then 'Quiz'
            when 'PEER_REVIEW' then 'Peer review'
            when 'PROGRAMMING_ASSIGNMENT' then 'Programming assignment'
            when 'STAFF_GRADED_ASSIGNMENT' then 'Staff graded assignment'
            when 'DISCUSSION_PROMPT' then 'Discussion prompt'
            when 'LTI' then 'LTI'
            else 'Other'
        end as category,
        -- PowerSchool refuses titles of more than 50 characters.
        rtrim(left(coalesce({{ one_line("items.module_name") }} || ': ', '') || coalesce({{ one_line("items.item_name") }}, items.item_id), 50))
            as title,
        {{ one_line("concat_ws(' / ', items.module_name, items.lesson_name, items.item_name)") }} as description
    from told_apart as items
    inner join {{ ref("classes") }} as classes
        on items.program_id = classes.program_id and items.course_id = classes.course_id
    where items.most_weight_percent > 0 or items.best_grade_percent is not null
)

select * from final_grades
union all
select * from gradable_items
