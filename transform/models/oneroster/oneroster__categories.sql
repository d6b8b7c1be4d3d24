{{ config(alias="categories") }}

-- A category has one title, also if it is mapped to a source that is different for each of its items.
with titled as (
    select item.category_sourced_id, min(coalesce({{ attribute("categories.title") }}, item.category)) as title
    from {{ ref("line_items") }} as item
    group by item.category_sourced_id
)

select
    category_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    rtrim(left(title, {{ setting("category_title_length") }})) as "title"
from titled
