{{ config(alias="roles") }}

with listed as (
    select "sourcedId" as user_sourced_id, "role" as role_name, unnest(string_to_array("orgSourcedIds", ',')) as org_sourced_id
    from {{ ref("oneroster__users") }}
),

named as (
    select
        *,
        -- The parts of the ids after their kind, so that the id of the role is as readable as they are.
        regexp_replace(user_sourced_id, '^user[.]', '') as user_part,
        regexp_replace(org_sourced_id, '^school[.]', '') as org_part
    from listed
)

select
    {{ sourced_id("role", ["user_part", "org_part"]) }} as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    user_sourced_id as "userSourcedId",
    'primary' as "roleType",
    role_name as "role",
    cast(null as text) as "beginDate",
    cast(null as text) as "endDate",
    org_sourced_id as "orgSourcedId",
    cast(null as text) as "userProfileSourcedId"
from named
