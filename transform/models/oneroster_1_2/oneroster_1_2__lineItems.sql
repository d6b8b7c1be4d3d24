{{ config(alias="lineItems") }}

select
    line_items."sourcedId",
    line_items."status",
    line_items."dateLastModified",
    line_items."title",
    line_items."description",
    line_items."assignDate",
    line_items."dueDate",
    line_items."classSourcedId",
    line_items."categorySourcedId",
    line_items."gradingPeriodSourcedId" as "academicSessionSourcedId",
    line_items."resultValueMin",
    line_items."resultValueMax",
    classes."schoolSourcedId"
from {{ ref("oneroster__lineItems") }} as line_items
inner join {{ ref("oneroster__classes") }} as classes on line_items."classSourcedId" = classes."sourcedId"
