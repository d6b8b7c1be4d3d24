-- Final grades and running ones share their ids: a learner's result in a class stays the same result when the mode or the course ends.
with final_grades as (
    select
        program_id,
        course_id,
        {{ whole_course() }} as item_id,
        person_key,
        'fully graded' as score_status,
        false as is_in_progress,
        cast(grade_0_to_1 as decimal(18, 12)) * 100 as score_percent,
        completed_on as scored_on
    from {{ ref("enrollments") }}
    -- Coursera may show the grade up to 48 hours after the completion: until then there is no final grade, and never a zero.
    where
        '{{ is_graded_as_a_whole() }}' = 'True'
        and is_completed
        and grade_0_to_1 is not null
        and completed_on is not null
),

reported as (
    select program_id, course_id, item_id, person_key, item_grade_percent as score_percent, 'fully graded' as score_status
    from {{ ref("item_grades") }}
    where '{{ is_graded_as_a_whole() }}' = 'False'
    union all
    select program_id, course_id, {{ whole_course() }}, person_key, course_grade_percent, 'partially graded'
    from {{ ref("gradebook") }}
    where '{{ grade_sync() }}' = 'final_incremental' and is_graded
),

-- The memory outlives the gradebook: only what the gradebook still says is a grade.
first_seen as (
    select
        reported.program_id,
        reported.course_id,
        reported.item_id,
        reported.person_key,
        reported.score_status,
        reported.score_status = 'partially graded' and not coalesce(enrollments.is_completed, false) as is_in_progress,
        cast(reported.score_percent as decimal(18, 12)) as score_percent,
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

graded as (
    select * from final_grades
    union all
    select * from first_seen
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

    graded.is_in_progress,

    graded.scored_on
from graded
inner join {{ ref("enrollments") }} as enrollments
    on graded.program_id = enrollments.program_id
    and graded.course_id = enrollments.course_id
    and graded.person_key = enrollments.person_key
inner join {{ ref("line_items") }} as line_items
    on enrollments.class_sourced_id = line_items.class_sourced_id
    and graded.item_id = coalesce(line_items.item_id, {{ whole_course() }})
