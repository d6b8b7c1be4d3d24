{{ config(materialized="incremental", unique_key="external_id", incremental_strategy="delete+insert", full_refresh=false) }}

with seen as (
    select external_id, coursera_user_id, seen_at
    from {{ ref("stg_coursera__user_aliases") }}
)

select
    seen.external_id,
    seen.coursera_user_id,
    -- If the clock of the machine was wrong, the time of the run counts.
    coalesce(case when {{ can_be("seen.seen_at") }} then seen.seen_at end, run_time.run_at, seen.seen_at) as learned_at
from seen
cross join {{ ref("run_time") }} as run_time
{% if is_incremental() %}
left join {{ this }} as remembered on seen.external_id = remembered.external_id
where
    remembered.external_id is null
    or not ({{ can_be("remembered.learned_at") }})
    or (seen.coursera_user_id <> remembered.coursera_user_id and seen.seen_at > remembered.learned_at)
union all
select remembered.external_id, remembered.coursera_user_id, run_time.run_at
from {{ this }} as remembered
cross join {{ ref("run_time") }} as run_time
where
    not ({{ can_be("remembered.learned_at") }})
    and remembered.external_id not in (select external_id from seen)
{% endif %}
