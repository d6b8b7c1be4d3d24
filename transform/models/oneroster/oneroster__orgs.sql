{{ config(alias="orgs") }}

select
    org_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    org_name as "name",
    org_type as "type",
    org_identifier as "identifier",
    parent_sourced_id as "parentSourcedId"
from {{ ref("schools") }}
