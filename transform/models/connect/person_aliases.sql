{{ config(materialized="incremental", unique_key="external_id", incremental_strategy="delete+insert", full_refresh=false) }}

with seen as (
    select external_id, coursera_user_id, seen_at
    from {{ ref("stg_coursera__user_aliases") }}
)

select seen.external_id, seen.coursera_user_id, seen.seen_at as learned_at
from seen
{% if is_incremental() %}
left join {{ this }} as remembered on seen.external_id = remembered.external_id
where
    remembered.external_id is null
    or (seen.coursera_user_id <> remembered.coursera_user_id and seen.seen_at > remembered.learned_at)
{% endif %}
