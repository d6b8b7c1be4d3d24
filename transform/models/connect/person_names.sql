with named as (
    select external_id as name, person_key from {{ ref("identities") }}
    union all
    select coursera_user_id, coursera_user_id from {{ ref("stg_coursera__users") }}
    union all
    select email, coursera_user_id from {{ ref("stg_coursera__users") }}
    union all
    select listed.email, identities.person_key
    from {{ ref("stg_coursera__program_memberships") }} as listed
    inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
    union all
    select listed.email, identities.person_key
    from {{ ref("stg_coursera__program_invitations") }} as listed
    inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
)

select distinct lower({{ trimmed("name") }}) as name, person_key
from named
where {{ trimmed("name") }} <> ''
