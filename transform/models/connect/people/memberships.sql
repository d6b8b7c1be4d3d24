with listed as (
    select program_id, external_id, joined_at, true as is_member
    from {{ ref("stg_coursera__program_memberships") }}
    union all
    select program_id, external_id, cast(null as timestamptz) as joined_at, false as is_member
    from {{ ref("stg_coursera__program_invitations") }}
    where {{ setting("include_invited") }}
)

select
    listed.program_id,
    identities.person_key,
    program_schools.school_sourced_id,
    bool_or(listed.is_member) as is_member,
    min(listed.joined_at) as joined_at
from listed
inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
inner join {{ ref("program_schools") }} as program_schools on listed.program_id = program_schools.program_id
where identities.person_key not in (select person_key from {{ ref("excluded") }})
group by listed.program_id, identities.person_key, program_schools.school_sourced_id
