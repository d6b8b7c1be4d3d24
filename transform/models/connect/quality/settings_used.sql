select
    {% for name in setting_rules() -%}
    {%- set value = setting(name) -%}
    {{ literal(tojson(value) if value is mapping or value is boolean else value) }} as {{ name }},
    {% endfor -%}
    '2' as rules,
    {{ utc_text("report_refreshed_at") }} as data_as_of
from {{ ref("freshness") }}
