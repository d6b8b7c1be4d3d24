-- The newest moments in the data: nothing here or downstream asks the local clock.
with moments as (
    select
        (select max(report_refreshed_at) from {{ ref("stg_coursera__enrollments") }}) as report_refreshed_at,
        (select max(extracted_at) from {{ ref("stg_coursera__organizations") }}) as organization_read_at,
        (select max(extracted_at) from {{ ref("stg_coursera__programs") }}) as programs_read_at
)

select
    report_refreshed_at,
    greatest(organization_read_at, programs_read_at) as read_at,
    -- Where there is no report yet, the day of the newest read counts.
    {{ school_day("coalesce(report_refreshed_at, organization_read_at, programs_read_at)") }} as today
from moments
