{{ config(alias="categories") }}

select
    "sourcedId",
    "status",
    "dateLastModified",
    "title",
    -- A category is in many courses, but a weight in Coursera is that of one item in one course.
    cast(null as text) as "weight"
from {{ ref("oneroster__categories") }}
