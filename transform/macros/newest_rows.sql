{#-
  The newest raw row per key, unless the loader has marked it as removed upstream.

  optional: the stream may never have been loaded, as where nobody syncs grades or there is no program yet; it has no rows then.
  newer: columns that a table lacks when an earlier release loaded it; they are null then.
-#}
{% macro newest_rows(relation, key, removed=false, optional=false, newer=[]) %}
  {%- if optional and execute and not relation.is_cte and load_relation(relation) is none -%}
    {{ no_rows(relation) }}
  {%- else -%}
    select * from (
      select *, {% for column in lacking(relation, newer) %}cast(null as text) as {{ column }}, {% endfor -%}
        row_number() over (partition by {{ key | join(", ") }} order by _sdc_sequence desc, _sdc_extracted_at desc) as newest
      from {{ relation }}
    ) as ranked
    where newest = 1{% if not removed %} and _sdc_deleted_at is null{% endif %}
  {%- endif -%}
{% endmacro %}

{#- The columns the source declares, and not a single row. -#}
{% macro no_rows(relation) %}
  {%- set declared = graph.sources.values() | selectattr("schema", "equalto", relation.schema)
    | selectattr("identifier", "equalto", relation.identifier) | first -%}
  select
    {% for column in declared.columns %}cast(null as text) as {{ column }}, {% endfor %}
    cast(null as timestamptz) as _sdc_extracted_at
  where false
{%- endmacro %}

{#- Those of the columns that the table does not have. -#}
{% macro lacking(relation, columns) %}
  {%- if not columns or not execute or relation.is_cte -%}
    {{- return([]) -}}
  {%- endif -%}
  {{- return(columns | reject("in", adapter.get_columns_in_relation(relation) | map(attribute="name") | list) | list) -}}
{% endmacro %}
