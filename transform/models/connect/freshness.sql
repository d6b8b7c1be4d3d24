-- The newest moments in the data: nothing here or downstream asks the local clock.
with moments as (
    select
        (select max(report_refreshed_at) from {{ ref("stg_coursera__enrollments") }}) as report_refreshed_at,
        (select run_at from {{ ref("run_time") }}) as read_at
)

select
    report_refreshed_at,
    read_at,
    -- Where there is no report yet, the day of the run counts.
    {{ school_day("coalesce(report_refreshed_at, read_at)") }} as today
from moments
