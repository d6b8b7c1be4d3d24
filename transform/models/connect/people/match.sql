with found as (
    select
        listed.program_id,
        identities.person_key,
        -- A member who is listed under several ids counts once, by the best of the ways in which an id was resolved.
        min(case identities.resolved_by when 'users_list' then 1 when 'similar' then 2 when 'remembered' then 3 when 'external_id' then 4 end) as best_rank
    from {{ ref("stg_coursera__program_memberships") }} as listed
    inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
    inner join {{ ref("memberships") }} as memberships
        on listed.program_id = memberships.program_id and identities.person_key = memberships.person_key
    group by listed.program_id, identities.person_key
)

select
    program_id,
    count(*) as members,
    count(*) filter (where best_rank < 4) as matched,
    count(*) filter (where best_rank = 1) as by_users_list,
    count(*) filter (where best_rank = 3) as by_remembered,
    count(*) filter (where best_rank = 4) as by_external_id,
    cast(count(*) filter (where best_rank < 4) * 100.0 / count(*) as decimal(5, 2)) as matched_percent
from found
group by program_id
