{{ config(alias="categories") }}

select distinct
    {{ category_sourced_id("category") }} as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    rtrim(left(category, {{ length_of("category_title_length") }})) as "title"
from {{ ref("line_items") }}
