{{ config(alias="users") }}

select
    learner.user_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    case when learner.is_enabled then 'true' else 'false' end as "enabledUser",
    learner.school_sourced_ids as "orgSourcedIds",
    learner.role as "role",
    -- The attribute mapping of the username is applied in accounts, which makes it unique.
    learner.username as "username",
    {{ attribute("users.userIds") }} as "userIds",
    coalesce({{ attribute("users.givenName") }}, {{ literal(setting("name_placeholder")) }}) as "givenName",
    coalesce({{ attribute("users.familyName") }}, {{ literal(setting("name_placeholder")) }}) as "familyName",
    {{ attribute("users.middleName") }} as "middleName",
    {{ attribute("users.identifier") }} as "identifier",
    {{ attribute("users.email") }} as "email",
    {{ attribute("users.sms") }} as "sms",
    {{ attribute("users.phone") }} as "phone",
    cast(null as text) as "agentSourcedIds",
    {{ attribute("users.grades") }} as "grades",
    cast(null as text) as "password"
from {{ ref("accounts") }} as learner
