with final_grades as (
    select
        program_id,
        course_id,
        cast(null as text) as item_id,
        person_key,
        user_sourced_id,
        {{ sourced_id("result", ["program_id", "course_id", "identity_key"]) }} as result_sourced_id,
        cast(grade_0_to_1 as decimal(18, 12)) * 100 as score_percent,
        completed_on as scored_on
    from {{ ref("enrollments") }}
    -- Coursera may show the grade up to 48 hours after the completion: until then there is no result, and never a zero.
    where '{{ grade_sync() }}' = 'final' and is_completed and grade_0_to_1 is not null and completed_on is not null
),

item_grades as (
    select
        scores.program_id,
        scores.course_id,
        scores.item_id,
        scores.person_key,
        enrollments.user_sourced_id,
        {{ sourced_id("result", ["scores.program_id", "scores.course_id", "enrollments.identity_key", "scores.item_id"]) }}
            as result_sourced_id,
        cast(scores.item_grade_percent as decimal(18, 12)) as score_percent,
        {{ school_day("scores.first_seen_at") }} as scored_on
    from {{ ref("item_scores") }} as scores
    inner join {{ ref("enrollments") }} as enrollments
        on scores.program_id = enrollments.program_id
        and scores.course_id = enrollments.course_id
        and scores.person_key = enrollments.person_key
    where
        '{{ grade_sync() }}' = 'granular_all'
        -- The memory outlives the gradebook: only what the gradebook still says is a grade.
        and exists (
            select 1
            from {{ ref("stg_coursera__item_grades") }} as reported
            inner join {{ ref("identities") }} as identities on reported.external_id = identities.external_id
            where
                reported.program_id = scores.program_id
                and reported.course_id = scores.course_id
                and reported.item_id = scores.item_id
                and identities.person_key = scores.person_key
                and reported.item_grade_percent = scores.item_grade_percent
        )
),

every_grade as (
    select * from final_grades
    union all
    select * from item_grades
)

select
    every_grade.*,
    line_items.line_item_sourced_id
from every_grade
inner join {{ ref("line_items") }} as line_items
    on every_grade.program_id = line_items.program_id
    and every_grade.course_id = line_items.course_id
    and coalesce(every_grade.item_id, '') = coalesce(line_items.item_id, '')
