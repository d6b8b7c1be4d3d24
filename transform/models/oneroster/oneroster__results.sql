{{ config(alias="results") }}

select
    result_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    line_item_sourced_id as "lineItemSourcedId",
    user_sourced_id as "studentSourcedId",
    score_status as "scoreStatus",
    {{ score("score_percent") }} as "score",
    {{ iso_date("scored_on") }} as "scoreDate",
    cast(null as text) as "comment"
from {{ ref("grades") }}
where is_in_files
