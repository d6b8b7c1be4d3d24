{{ config(
    materialized="incremental",
    unique_key=["program_id", "course_id", "item_id", "person_key"],
    incremental_strategy="delete+insert",
    full_refresh=false,
) }}

-- Coursera does not tell when an item was graded, so the day the pipeline first saw a score is remembered for as long as the score
-- stays the same; otherwise every run would rewrite every result.
select
    graded.program_id,
    graded.course_id,
    graded.item_id,
    graded.person_key,
    graded.item_grade_percent,
    graded.extracted_at as first_seen_at
from {{ ref("item_grades") }} as graded
{% if is_incremental() %}
left join {{ this }} as remembered
    on graded.program_id = remembered.program_id
    and graded.course_id = remembered.course_id
    and graded.item_id = remembered.item_id
    and graded.person_key = remembered.person_key
where remembered.item_id is null or remembered.item_grade_percent <> graded.item_grade_percent
{% endif %}
