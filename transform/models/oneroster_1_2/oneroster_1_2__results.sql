{{ config(alias="results") }}

select
    results."sourcedId",
    results."status",
    results."dateLastModified",
    results."lineItemSourcedId",
    results."studentSourcedId",
    results."scoreStatus",
    results."score",
    results."scoreDate",
    results."comment",
    cast(null as text) as "textScore",
    grades.class_sourced_id as "classSourcedId",
    -- Blank means unknown: Coursera reports that a course is not completed yet, but nothing similar about an item.
    case when grades.is_in_progress then 'true' end as "inProgress",
    cast(null as text) as "incomplete",
    cast(null as text) as "late",
    cast(null as text) as "missing"
from {{ ref("oneroster__results") }} as results
inner join {{ ref("grades") }} as grades on results."sourcedId" = grades.result_sourced_id
