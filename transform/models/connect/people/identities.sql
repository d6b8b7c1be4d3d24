with keys as (
    select holder_key, min(person_key) as person_key
    from {{ ref("person_keys") }}
    group by holder_key
),

-- Members who were published without an account, and for whom no account was found since.
without_account as (
    select external_id, min(person_key) as person_key
    from {{ ref("person_keys") }}
    where
        {{ is_without_account("holder_key") }} and {{ id_of_key("holder_key") }} = external_id
        and person_key not in (select person_key from {{ ref("person_keys") }} where not {{ is_without_account("holder_key") }})
    group by external_id
    having count(distinct person_key) = 1
),

identified as (
    select
        holders.external_id,
        -- Two members who were published as two people stay two people, although their ids are similar.
        coalesce(
            case when holders.resolved_by = 'similar' then without_account.person_key end,
            keys.person_key,
            holders.holder_key
        ) as person_key,
        holders.coursera_user_id,
        holders.resolved_by,
        holders.is_ambiguous
    from {{ ref("id_holders") }} as holders
    left join keys on holders.holder_key = keys.holder_key
    left join without_account on holders.external_id = without_account.external_id
)

select external_id, person_key, {{ id_of_key("person_key") }} as person_id, coursera_user_id, resolved_by, is_ambiguous
from identified
