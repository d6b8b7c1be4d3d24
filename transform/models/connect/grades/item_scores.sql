{{ config(
    materialized="incremental",
    unique_key=["program_id", "course_id", "item_id", "person_key"],
    incremental_strategy="delete+insert",
    full_refresh=false,
) }}

-- Coursera does not report when an item was graded or when a running grade changed. So this table keeps the day on which the pipeline first
-- saw a score, for as long as the files have the same score. Otherwise each run would change the date of each result.
with graded as (
    select program_id, course_id, item_id, person_key, item_grade_percent, extracted_at
    from {{ ref("item_grades") }}
    union all
    select program_id, course_id, {{ whole_course() }}, person_key, course_grade_percent, extracted_at
    from {{ ref("gradebook") }}
    where is_graded
)

select
    graded.program_id,
    graded.course_id,
    graded.item_id,
    graded.person_key,
    cast(graded.item_grade_percent as double precision) as item_grade_percent,
    -- If the clock of the machine was wrong, the time of the run counts.
    coalesce(case when {{ can_be("graded.extracted_at") }} then graded.extracted_at end, run_time.run_at, graded.extracted_at) as first_seen_at
from graded
cross join {{ ref("run_time") }} as run_time
{% if is_incremental() %}
left join {{ this }} as remembered
    on graded.program_id = remembered.program_id
    and graded.course_id = remembered.course_id
    and graded.item_id = remembered.item_id
    and graded.person_key = remembered.person_key
where
    remembered.item_id is null
    or not ({{ can_be("remembered.first_seen_at") }})
    or {{ as_published("remembered.item_grade_percent") }} is distinct from {{ as_published("graded.item_grade_percent") }}
{% endif %}
