with accounts as (
    select users.coursera_user_id, users.email, coalesce(keys.person_key, users.coursera_user_id) as person_key
    from {{ ref("stg_coursera__users") }} as users
    left join (
        select holder_key, min(person_key) as person_key from {{ ref("person_keys") }} group by holder_key
    ) as keys on users.coursera_user_id = keys.holder_key
),

named as (
    select external_id as name, person_key from {{ ref("identities") }}
    union all
    select coursera_user_id, person_key from accounts
    union all
    select email, person_key from accounts
    union all
    select listed.email, identities.person_key
    from {{ ref("stg_coursera__program_memberships") }} as listed
    inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
    union all
    select listed.email, identities.person_key
    from {{ ref("stg_coursera__program_invitations") }} as listed
    inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
)

select distinct lower({{ trimmed("name") }}) as name, person_key, {{ id_of_key("person_key") }} as person_id
from named
where {{ trimmed("name") }} <> ''
