-- A learner whose external id has changed is reported under both: the newest row counts.
with reported as (
    select
        grades.program_id,
        grades.course_id,
        identities.person_key,
        grades.course_grade_percent,
        grades.last_activity_at,
        grades.completed_at,
        grades.extracted_at,
        grades.changed_at,
        grades.course_grade_id
    from {{ ref("stg_coursera__course_grades") }} as grades
    inner join {{ ref("identities") }} as identities on grades.external_id = identities.external_id
),

ranked as (
    {{ ranked("reported", ["program_id", "course_id", "person_key"], "changed_at desc nulls last, course_grade_id") }}
)

select
    program_id,
    course_id,
    person_key,

    {{ usable("course_grade_percent") }} as course_grade_percent,
    course_grade_percent as reported_percent,

    -- Of somebody who never did anything Coursera says 0 as well: that is no grade.
    {{ usable("course_grade_percent") }} is not null and (course_grade_percent > 0 or last_activity_at is not null) as is_graded,

    completed_at,
    extracted_at
from ranked
where newest = 1
