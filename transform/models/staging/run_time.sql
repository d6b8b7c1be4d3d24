{{ config(materialized="table") }}

{#- Streams whose rows have the time at which they were read. A stream that was never loaded has no table. -#}
{%- set streams = ["organizations", "programs", "users", "program_memberships", "enrollments", "course_grades", "item_grades"] -%}
with reads as (
    select read_at, sync_started_at, sequence
    from {{ ref("stg_coursera__stream_reads") }}
    where read_at >= cast('2012-01-01T00:00:00Z' as timestamptz)
),

-- Coursera's own clock: the median of the times in the last run, so that one answer with a wrong date has no effect.
told as (
    select percentile_disc(0.5) within group (order by read_at) as run_at
    from reads
    where sync_started_at is not distinct from (select sync_started_at from reads order by sequence desc nulls last, read_at desc nulls last limit 1)
),

-- The clock of the machine that read the rows, for tables that only an earlier release loaded.
extracted as (
    select cast(null as timestamptz) as run_at
    {%- for stream in streams if is_loaded(source("coursera", stream)) %}
    union all
    select max({{ moment("_sdc_extracted_at") }}) from {{ source("coursera", stream) }}
    {%- endfor %}
),

run as (
    select coalesce((select run_at from told), (select max(run_at) from extracted)) as run_at
)

select run_at, coalesce(run_at + interval '1 day', cast('infinity' as timestamptz)) as possible_until
from run
