{{ config(alias="users") }}

with schools as (
    select person_key, {{ list_of("school_sourced_id") }} as school_sourced_ids
    from {{ ref("memberships") }}
    group by person_key
)

select
    people.user_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    case when people.is_member then 'true' else 'false' end as "enabledUser",
    schools.school_sourced_ids as "orgSourcedIds",
    'student' as "role",
    people.username as "username",
    -- A list of {type:id} cannot hold an id with its own punctuation, and an id without it would be another id.
    case when translate(people.external_id, ',{}', '') = people.external_id then '{Coursera:' || {{ whole_line("people.external_id") }} || '}' end as "userIds",
    people.given_name as "givenName",
    people.family_name as "familyName",
    cast(null as text) as "middleName",
    {{ whole_line("people.external_id") }} as "identifier",
    people.email as "email",
    cast(null as text) as "sms",
    cast(null as text) as "phone",
    cast(null as text) as "agentSourcedIds",
    cast(null as text) as "grades",
    cast(null as text) as "password"
from {{ ref("people") }} as people
inner join schools on people.person_key = schools.person_key
