-- The newest moments in the data: nothing here or downstream asks the local clock.
with moments as (
    select
        (select max(report_refreshed_at) from {{ ref("stg_coursera__enrollments") }}) as report_refreshed_at,
        (select run_at from {{ ref("run_time") }}) as read_at
),

dated as (
    select
        report_refreshed_at,
        read_at,
        -- Where there is no report yet, the day of the run counts.
        {{ school_day("coalesce(report_refreshed_at, read_at)") }} as today
    from moments
)

select
    report_refreshed_at,
    read_at,
    today,
    -- A session lies at most in the school year after the current one.
    {{ school_year_starts_on("(" ~ school_year_of("today") ~ " + 2)") }} as sessions_begin_before
from dated
