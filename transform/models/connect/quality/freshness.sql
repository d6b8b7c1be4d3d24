-- The newest times in the data. No model reads the clock of this machine.
with moments as (
    select
        (select max(report_refreshed_at) from {{ ref("stg_coursera__enrollments") }}) as report_refreshed_at,
        (select run_at from {{ ref("run_time") }}) as read_at
),

dated as (
    select
        report_refreshed_at,
        read_at,
        -- If there is no report yet, the day of the run counts.
        {{ school_day("coalesce(report_refreshed_at, read_at)") }} as today
    from moments
)

select
    report_refreshed_at,
    read_at,
    today,
    -- The last sessions are those of the school year after the current one.
    {{ school_year_starts_on("(" ~ school_year_of("today") ~ " + 2)") }} as sessions_begin_before
from dated
