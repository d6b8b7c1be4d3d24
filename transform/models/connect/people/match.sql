with best_match as (
    select
        listed.program_id,
        identities.person_key,
        -- A member listed under two ids is found by the better one; in letters: users_list, remembered, external_id.
        max(identities.resolved_by) as resolved_by
    from {{ ref("stg_coursera__program_memberships") }} as listed
    inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
    inner join {{ ref("memberships") }} as memberships
        on listed.program_id = memberships.program_id and identities.person_key = memberships.person_key
    group by listed.program_id, identities.person_key
)

select
    program_id,
    count(*) as members,
    sum(case when resolved_by = 'external_id' then 0 else 1 end) as matched,
    sum(case when resolved_by = 'users_list' then 1 else 0 end) as by_users_list,
    sum(case when resolved_by = 'remembered' then 1 else 0 end) as by_remembered,
    sum(case when resolved_by = 'external_id' then 1 else 0 end) as by_external_id,
    cast(sum(case when resolved_by = 'external_id' then 0.0 else 100.0 end) / count(*) as decimal(5, 2)) as matched_percent
from best_match
group by program_id
