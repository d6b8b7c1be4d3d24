with named as (
    select content_id as course_id, content_name as course_name, content_slug as course_slug, 1 as source_rank,
        author_updated_at as named_at
    from {{ ref("stg_coursera__contents") }}
    where content_type = 'Course'
    union all
    select content_id, content_name, content_slug, 2, report_refreshed_at
    from {{ ref("stg_coursera__enrollments") }}
    where content_type = 'Course'
    union all
    select course_id, course_name, null, 3, changed_at
    from {{ ref("stg_coursera__course_grades") }}
    union all
    -- A class with learners must not disappear because no source has its name.
    select content_id, coalesce({{ one_line("content_slug") }}, content_id), content_slug, 4, report_refreshed_at
    from {{ ref("stg_coursera__enrollments") }}
    where content_type = 'Course'
),

-- All rows of a course usually have the same name, so each different name is examined once.
told as (
    select course_id, course_name, course_slug, source_rank, max(named_at) as named_at
    from named
    group by course_id, course_name, course_slug, source_rank
),

ranked as (
    select
        course_id,
        {{ one_line("course_name") }} as course_name,
        {{ one_line("course_slug") }} as course_slug,
        row_number() over (partition by course_id order by source_rank, named_at desc nulls last, course_name nulls last, course_slug nulls last) as preference
    from told
    where {{ one_line("course_name") }} is not null and course_id <> ''
),

named_once as (
    select course_id, {{ id_part("course_id") }} as course_id_part, course_name, course_slug
    from ranked
    where preference = 1
)

select
    course_id,
    course_id_part,
    {{ sourced_id("course", ["course_id_part"]) }} as course_sourced_id,
    course_name,
    course_slug
from named_once
