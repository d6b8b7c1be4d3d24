{{ config(alias="users") }}

with joined as (
    select people.user_sourced_id, memberships.school_sourced_id, min(memberships.joined_at) as joined_at
    from {{ ref("memberships") }} as memberships
    inner join {{ ref("people") }} as people on memberships.person_key = people.person_key
    group by people.user_sourced_id, memberships.school_sourced_id
),

-- The school joined first; a person nobody says has joined, as a teacher, belongs to the first one listed.
ranked as (
    select
        roles."userSourcedId" as user_sourced_id,
        roles."orgSourcedId" as school_sourced_id,
        row_number() over (partition by roles."userSourcedId" order by joined.joined_at nulls last, roles."orgSourcedId") as preference
    from {{ ref("oneroster_1_2__roles") }} as roles
    left join joined
        on roles."userSourcedId" = joined.user_sourced_id and roles."orgSourcedId" = joined.school_sourced_id
)

select
    users."sourcedId",
    users."status",
    users."dateLastModified",
    users."enabledUser",
    users."username",
    users."userIds",
    users."givenName",
    users."familyName",
    users."middleName",
    users."identifier",
    users."email",
    users."sms",
    users."phone",
    users."agentSourcedIds",
    users."grades",
    users."password",
    cast(null as text) as "userMasterIdentifier",
    cast(null as text) as "preferredGivenName",
    cast(null as text) as "preferredMiddleName",
    cast(null as text) as "preferredFamilyName",
    ranked.school_sourced_id as "primaryOrgSourcedId",
    cast(null as text) as "pronouns"
from {{ ref("oneroster__users") }} as users
left join ranked on users."sourcedId" = ranked.user_sourced_id and ranked.preference = 1
