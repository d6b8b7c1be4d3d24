{{ config(
    materialized="incremental",
    unique_key=["program_id", "course_id", "item_id", "person_key"],
    incremental_strategy="delete+insert",
    full_refresh=false,
) }}

-- Coursera does not tell when an item was graded, so the day the pipeline first saw a score is remembered for as long as the score
-- stays the same; otherwise every run would rewrite every result.
with graded as (
    select
        items.program_id,
        items.course_id,
        items.item_id,
        identities.person_key,
        items.item_grade_percent,
        items.extracted_at,
        row_number() over (
            partition by items.program_id, items.course_id, items.item_id, identities.person_key
            order by items.changed_at desc nulls last, items.extracted_at desc, items.external_id
        ) as newest
    from {{ ref("stg_coursera__item_grades") }} as items
    inner join {{ ref("identities") }} as identities on items.external_id = identities.external_id
    where items.item_grade_percent is not null
)

select
    graded.program_id,
    graded.course_id,
    graded.item_id,
    graded.person_key,
    graded.item_grade_percent,
    graded.extracted_at as first_seen_at
from graded
{% if is_incremental() %}
left join {{ this }} as remembered
    on graded.program_id = remembered.program_id
    and graded.course_id = remembered.course_id
    and graded.item_id = remembered.item_id
    and graded.person_key = remembered.person_key
{% endif %}
where graded.newest = 1
{% if is_incremental() %}
    and (remembered.item_id is null or remembered.item_grade_percent <> graded.item_grade_percent)
{% endif %}
