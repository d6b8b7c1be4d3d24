-- Final and running grades have the same ids, so that a learner's result in a class stays the same result when the mode changes or the course ends.
with final_grades as (
    select
        program_id,
        course_id,
        {{ whole_course() }} as item_id,
        person_key,
        'fully graded' as score_status,
        false as is_in_progress,
        final_grade_percent as score_percent,
        grade_0_to_1 * 100 as reported_percent,
        completed_on as scored_on
    from {{ ref("enrollments") }}
    -- Coursera may show the grade as late as 48 hours after the completion. Until then there is no final grade, and never a zero.
    where
        {{ is_graded_as_a_whole() }}
        and is_completed
        and final_grade_percent is not null
        and (completed_on is not null or is_completion_impossible)
),

reported as (
    select program_id, course_id, item_id, person_key, item_grade_percent as score_percent, reported_percent, 'fully graded' as score_status
    from {{ ref("item_grades") }}
    where not {{ is_graded_as_a_whole() }}
    union all
    select program_id, course_id, {{ whole_course() }}, person_key, course_grade_percent, reported_percent, 'partially graded'
    from {{ ref("gradebook") }}
    where {{ setting("grade_sync") == "final_incremental" }} and is_graded
),

-- item_scores keeps rows that the gradebook does not have any more. Only a score that the gradebook still has is a grade.
first_seen as (
    select
        reported.program_id,
        reported.course_id,
        reported.item_id,
        reported.person_key,
        reported.score_status,
        reported.score_status = 'partially graded' and not coalesce(enrollments.is_completed, false) as is_in_progress,
        reported.score_percent,
        reported.reported_percent,
        {{ school_day("scores.first_seen_at") }} as scored_on
    from reported
    inner join {{ ref("item_scores") }} as scores
        on reported.program_id = scores.program_id
        and reported.course_id = scores.course_id
        and reported.item_id = scores.item_id
        and reported.person_key = scores.person_key
        and {{ as_published("reported.score_percent") }} = {{ as_published("scores.item_grade_percent") }}
    inner join {{ ref("enrollments") }} as enrollments
        on reported.program_id = enrollments.program_id
        and reported.course_id = enrollments.course_id
        and reported.person_key = enrollments.person_key
    left join final_grades
        on reported.program_id = final_grades.program_id
        and reported.course_id = final_grades.course_id
        and reported.item_id = final_grades.item_id
        and reported.person_key = final_grades.person_key
    where final_grades.person_key is null
),

scored as (
    select * from final_grades
    union all
    select * from first_seen
),

graded as (
    select
        *,
        case
            when scored_on is null then 'impossible completion'
            when {{ as_published("reported_percent") }} > 100 then 'above maximum'
        end as doubt
    from scored
)

select
    graded.program_id,
    graded.course_id,
    line_items.item_id,
    graded.person_key,
    line_items.line_item_sourced_id,
    line_items.class_sourced_id,
    enrollments.user_sourced_id,
    {% set course = ["enrollments.program_id_part", "enrollments.course_id_part", "enrollments.identity_key"] -%}
    {% if is_graded_as_a_whole() %}{{ sourced_id("result", course) }}
    {%- else %}{{ sourced_id("result", course + ["line_items.item_id_part"]) }}
    {%- endif %} as result_sourced_id,

    graded.score_status,

    graded.score_percent,
    graded.reported_percent,

    graded.is_in_progress,
    graded.doubt,
    graded.doubt is null{% if setting("above_maximum") == "cap" %} or graded.doubt = 'above maximum'{% endif %} as is_in_files,

    graded.scored_on
from graded
inner join {{ ref("enrollments") }} as enrollments
    on graded.program_id = enrollments.program_id
    and graded.course_id = enrollments.course_id
    and graded.person_key = enrollments.person_key
inner join {{ ref("line_items") }} as line_items
    on enrollments.class_sourced_id = line_items.class_sourced_id
    and graded.item_id = coalesce(line_items.item_id, {{ whole_course() }})
