{{ config(alias="users") }}

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
    {{ attribute("users.userMasterIdentifier") }} as "userMasterIdentifier",
    {{ attribute("users.preferredGivenName") }} as "preferredGivenName",
    {{ attribute("users.preferredMiddleName") }} as "preferredMiddleName",
    {{ attribute("users.preferredFamilyName") }} as "preferredFamilyName",
    learner.primary_school_sourced_id as "primaryOrgSourcedId",
    {{ attribute("users.pronouns") }} as "pronouns"
from {{ ref("oneroster__users") }} as users
inner join {{ ref("accounts") }} as learner on users."sourcedId" = learner.user_sourced_id
