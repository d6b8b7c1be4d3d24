{{ config(
    materialized="incremental",
    unique_key=["program_id", "course_id"],
    incremental_strategy="delete+insert",
    full_refresh=false,
) }}

select program_id, unnest(string_to_array(covered, ' ')) as course_id, began_at as read_since
from {{ ref("stg_coursera__stream_reads") }}
where stream = 'item_grades' and covered is not null and began_at is not null
