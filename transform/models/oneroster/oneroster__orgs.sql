{{ config(alias="orgs") }}

select
    school.org_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    coalesce({{ attribute("orgs.name") }}, school.org_name) as "name",
    school.org_type as "type",
    {{ attribute("orgs.identifier") }} as "identifier",
    school.parent_sourced_id as "parentSourcedId"
from {{ ref("schools") }} as school
