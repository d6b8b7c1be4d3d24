{{ config(alias="academicSessions") }}

-- Each term has a grading period with the same dates, because a line item must not refer to a school year.
with sessions as (
    select
        school_year_sourced_id as sourced_id, 'schoolYear' as session_type, cast(null as text) as parent_sourced_id,
        title, school_year, starts_on, ends_before
    from {{ ref("school_years") }}
    union all
    select term_sourced_id, 'term', school_year_sourced_id, title, school_year, starts_on, ends_before
    from {{ ref("school_terms") }}
    union all
    select grading_period_sourced_id, 'gradingPeriod', term_sourced_id, title, school_year, starts_on, ends_before
    from {{ ref("school_terms") }}
)

select
    sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    title as "title",
    session_type as "type",
    cast(starts_on as text) as "startDate",
    cast(ends_before as text) as "endDate",
    parent_sourced_id as "parentSourcedId",
    cast(school_year as text) as "schoolYear"
from sessions
