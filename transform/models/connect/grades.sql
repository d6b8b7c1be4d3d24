with final_grades as (
    select
        line_items.line_item_sourced_id,
        enrollments.program_id,
        enrollments.course_id,
        line_items.item_id,
        enrollments.person_key,
        enrollments.user_sourced_id,
        {{ sourced_id("result", ["enrollments.program_id_part", "enrollments.course_id_part", "enrollments.identity_key"]) }}
            as result_sourced_id,
        cast(enrollments.grade_0_to_1 as decimal(18, 12)) * 100 as score_percent,
        enrollments.completed_on as scored_on
    from {{ ref("enrollments") }} as enrollments
    inner join {{ ref("line_items") }} as line_items
        on enrollments.program_id = line_items.program_id and enrollments.course_id = line_items.course_id
    -- Coursera may show the grade up to 48 hours after the completion: until then there is no result, and never a zero.
    where
        '{{ grade_sync() }}' = 'final'
        and enrollments.is_completed
        and enrollments.grade_0_to_1 is not null
        and enrollments.completed_on is not null
),

graded_items as (
    select
        line_items.line_item_sourced_id,
        scores.program_id,
        scores.course_id,
        scores.item_id,
        scores.person_key,
        enrollments.user_sourced_id,
        {{ sourced_id("result", [
            "enrollments.program_id_part", "enrollments.course_id_part", "enrollments.identity_key", "line_items.item_id_part"
        ]) }} as result_sourced_id,
        cast(scores.item_grade_percent as decimal(18, 12)) as score_percent,
        {{ school_day("scores.first_seen_at") }} as scored_on
    -- The memory outlives the gradebook: only what the gradebook still says is a grade.
    from {{ ref("item_scores") }} as scores
    inner join {{ ref("item_grades") }} as reported
        on scores.program_id = reported.program_id
        and scores.course_id = reported.course_id
        and scores.item_id = reported.item_id
        and scores.person_key = reported.person_key
        and scores.item_grade_percent = reported.item_grade_percent
    inner join {{ ref("enrollments") }} as enrollments
        on scores.program_id = enrollments.program_id
        and scores.course_id = enrollments.course_id
        and scores.person_key = enrollments.person_key
    inner join {{ ref("line_items") }} as line_items
        on scores.program_id = line_items.program_id
        and scores.course_id = line_items.course_id
        and scores.item_id = line_items.item_id
)

select * from final_grades
union all
select * from graded_items
