-- A learner whose external id has changed is reported under both ids. The newest row counts.
with reported as (
    select
        grades.program_id,
        grades.course_id,
        {{ person_of("coalesce(grades.enrolled_at, grades.changed_at)") }} as person_key,
        grades.course_grade_percent,
        grades.last_activity_at,
        grades.is_completion_impossible,
        grades.completed_at,
        grades.extracted_at,
        grades.changed_at,
        grades.course_grade_id
    from {{ ref("stg_coursera__course_grades") }} as grades
    inner join {{ ref("identities") }} as identities on grades.external_id = identities.external_id
    left join {{ ref("passed_ids") }} as passed on grades.external_id = passed.external_id
    where grades.course_id <> ''
),

ranked as (
    {{ ranked("reported", ["program_id", "course_id", "person_key"], "changed_at desc nulls last, course_grade_id nulls last") }}
),

-- Programs whose items are loaded. If the items are not read any more but the course grades are, the items do not show who has begun since.
with_items as (
    select program_id
    from (
        select program_id from {{ ref("stg_coursera__item_grades") }}
        union
        select program_id from {{ ref("stg_coursera__stream_reads") }} where stream = 'item_grades'
    ) as programs
    where
        not exists (select 1 from {{ ref("unread_streams") }} where stream = 'item_grades')
        or exists (select 1 from {{ ref("unread_streams") }} where stream = 'course_grades')
),

with_graded_items as (
    select distinct program_id, course_id, person_key from {{ ref("item_grades") }}
)

select
    ranked.program_id,
    ranked.course_id,
    ranked.person_key,

    {{ usable("ranked.course_grade_percent") }} as course_grade_percent,
    ranked.course_grade_percent as reported_percent,

    {{ usable("ranked.course_grade_percent") }} is not null
    and case
        when with_items.program_id is not null then with_graded_items.person_key is not null
        -- Coursera also shows 0 for a learner who never did anything. That is not a grade.
        else ranked.course_grade_percent > 0 or ranked.last_activity_at is not null
    end as is_graded,

    ranked.completed_at,
    ranked.is_completion_impossible,
    ranked.extracted_at
from ranked
left join with_items on ranked.program_id = with_items.program_id
left join with_graded_items
    on ranked.program_id = with_graded_items.program_id
    and ranked.course_id = with_graded_items.course_id
    and ranked.person_key = with_graded_items.person_key
where ranked.newest = 1 and ranked.person_key is not null
