-- The current school year comes from the data: the day of the newest report, or of the newest read where there is no report yet.
with recursive as_of as (
    select coalesce(
        (select max(report_refreshed_at) from {{ ref("stg_coursera__enrollments") }}),
        (select max(extracted_at) from {{ ref("stg_coursera__organizations") }}),
        (select max(extracted_at) from {{ ref("stg_coursera__programs") }})
    ) as moment
),

bounds as (
    select
        cast({{ school_year_of(school_day("as_of.moment")) }} as integer) as current_school_year,
        (select min(first_school_year) from {{ ref("enrollments") }}) as first_enrolled_school_year
    from as_of
    where as_of.moment is not null
),

years as (
    select
        current_school_year,
        least(
            current_school_year,
            greatest({{ var("first_school_year") | int }}, coalesce(first_enrolled_school_year, current_school_year))
        ) as school_year
    from bounds
    union all
    select current_school_year, school_year + 1
    from years
    where school_year < current_school_year
)

select
    school_year,
    {{ sourced_id("schoolYear", ["cast(school_year as text)"]) }} as school_year_sourced_id,
    {{ sourced_id("term", ["cast(school_year as text)"]) }} as term_sourced_id,
    {{ sourced_id("gradingPeriod", ["cast(school_year as text)"]) }} as grading_period_sourced_id,

    school_year = current_school_year as is_current,

    {{ school_year_starts_on("school_year") }} as starts_on,
    {{ school_year_starts_on("school_year + 1") }} as ends_before
from years
