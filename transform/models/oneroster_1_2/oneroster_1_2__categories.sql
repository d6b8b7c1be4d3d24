{{ config(alias="categories") }}

select
    "sourcedId",
    "status",
    "dateLastModified",
    "title",
    -- A category is everybody's, and Coursera's weights are those of an item in its course.
    cast(null as text) as "weight"
from {{ ref("oneroster__categories") }}
