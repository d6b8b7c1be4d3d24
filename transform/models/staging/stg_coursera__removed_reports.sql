-- Rows that a complete reading of a report did not contain any more. Only a later complete reading can confirm that they are gone.
{%- set reports = {
  "enrollments": {"learner": learner_id(), "course": "case when content_type = 'Course' then content_id end", "key": ["program_id", "id"]},
  "course_grades": {"learner": "external_id", "course": "course_id", "key": ["program_id", "id"]},
  "item_grades": {"learner": "external_id", "course": "course_id", "item": "item_id", "key": ["program_id", "external_id", "course_id", "item_id"]},
} %}
{% for stream, of in reports.items() -%}
{%- set relation = source("coursera", stream) -%}
select
    '{{ stream }}' as stream,
    cast(program_id as text) as program_id,
    cast({{ of.learner }} as text) as external_id,
    cast({{ of.course }} as text) as course_id,
    cast({{ of.item or "null" }} as text) as item_id,

    {{ "cast(null as timestamptz)" if of.item else possible("enrolled_at") }} as enrolled_at,
    {{ possible("changed_at") }} as changed_at,

    -- A reading that is not complete yet, or was cut short, leaves rows of the version before.
    (select min(_sdc_table_version) from {{ raw_rows(relation) }} where _sdc_deleted_at is null) as complete_reading
from (
    {{ newest_rows(relation, of.key, removed=true) }}
) as known_rows
cross join {{ ref("run_time") }} as run_time
where _sdc_deleted_at is not null
{% if not loop.last %}union all
{% endif %}
{%- endfor %}
