{{ config(alias="results") }}

select
    result_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    line_item_sourced_id as "lineItemSourcedId",
    user_sourced_id as "studentSourcedId",
    score_status as "scoreStatus",
    -- Always the same number of decimals, and never in exponent form.
    {% if setting("score_scale") == 100 %}cast({{ as_published("score_percent") }} as text)
    {%- else %}cast(cast({{ as_published("score_percent") }} * 0.01 as decimal(9, 4)) as text)
    {%- endif %} as "score",
    cast(scored_on as text) as "scoreDate",
    cast(null as text) as "comment"
from {{ ref("grades") }}
where is_in_files
