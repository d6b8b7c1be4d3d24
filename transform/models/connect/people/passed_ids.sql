-- When the present holder of each id became a member, by the oldest membership.
with present as (
    select identities.external_id, identities.person_key, min(members.joined_at) as since
    from {{ ref("stg_coursera__program_memberships") }} as members
    inner join {{ ref("identities") }} as identities on members.external_id = identities.external_id
    group by identities.external_id, identities.person_key
    having min(members.joined_at) is not null
),

keys as (
    select holder_key, min(person_key) as person_key
    from {{ ref("person_keys") }}
    group by holder_key
),

-- All names and addresses of that person, also earlier ones.
descriptions as (
    select present.external_id, known.email, known.full_name
    from present
    inner join {{ ref("person_keys") }} as known on present.person_key = known.person_key
    union all
    select present.external_id, users.email, users.full_name
    from present
    inner join {{ ref("identities") }} as identities on present.external_id = identities.external_id
    inner join {{ ref("stg_coursera__users") }} as users on identities.coursera_user_id = users.coursera_user_id
    union all
    select present.external_id, members.email, members.full_name
    from present
    inner join {{ ref("identities") }} as identities on present.person_key = identities.person_key
    inner join {{ ref("stg_coursera__program_memberships") }} as members on identities.external_id = members.external_id
),

-- People who had the id before: from person_keys, from accounts that left the list of users, and from old rows of the report.
former as (
    select external_id, email, full_name, person_key
    from {{ ref("person_keys") }}
    union all
    select removed.external_id, removed.email, removed.full_name, coalesce(keys.person_key, removed.coursera_user_id)
    from {{ ref("stg_coursera__removed_users") }} as removed
    left join keys on removed.coursera_user_id = keys.holder_key
    union all
    select reported.external_id, reported.email, reported.full_name, null
    from {{ ref("stg_coursera__enrollments") }} as reported
    inner join present on reported.external_id = present.external_id
    left join {{ ref("person_aliases") }} as remembered on reported.external_id = remembered.external_id
    left join {{ ref("identities") }} as identities on reported.external_id = identities.external_id
    where
        coalesce(
            greatest(reported.enrolled_at, reported.last_activity_at, reported.completed_at, reported.membership_deleted_at)
                <= present.since,
            false
        )
        -- The row is not about another person if the account that had the id before has it again.
        and not coalesce(remembered.coursera_user_id = identities.coursera_user_id and remembered.learned_at < present.since, false)
),

others as (
    select former.external_id, former.person_key, present.since
    from former
    inner join present on former.external_id = present.external_id
    inner join descriptions on former.external_id = descriptions.external_id
    where former.person_key is null or former.person_key <> present.person_key
    group by former.external_id, former.person_key, former.email, former.full_name, present.since
    having
        bool_or({{ is_other_person("former", "descriptions") }})
        and not bool_or(
            coalesce({{ folded("former.email") }} = {{ folded("descriptions.email") }}, false)
            or coalesce({{ spelled("former.full_name") }} = {{ spelled("descriptions.full_name") }}, false)
        )
)

select
    external_id,
    since,
    case when count(distinct person_key) = 1 then min(person_key) end as former_person_key
from others
group by external_id, since
