-- Ids with several rows in one run of the loader, if the loader keeps all rows.
{%- set reports = {"enrollment": "enrollments", "grade": "course_grades"} %}
{% for entity, stream in reports.items() -%}
select
    '{{ entity }}' as entity,
    cast(program_id as text) as program_id,
    cast(id as text) as row_id,
    count(*) - 1 as rows_left_out
from {{ raw_rows(source("coursera", stream)) }}
group by program_id, id, {{ run_of_loader() }}
having count(*) > 1
{% if not loop.last %}union all
{% endif %}
{%- endfor %}
