{#-
  The newest raw row per key, unless the loader has marked it as removed upstream. A row without its key is nobody's.

  A stream that was never loaded, as where it is not selected or there is no program yet, has no rows. A column that the source declares and an
  earlier release did not load yet is null, until the stream is loaded again.

  first: where rows of one key came in the same run, which of them counts, as an order; without it the one that came last does. The order
  may ask what can be (see times.sql): the rows have the columns of run_time, too.
-#}
{% macro newest_rows(relation, key, removed=false, first=none) %}
  {%- set beside = "cross join " ~ ref("run_time") if first else "" -%}
  {%- if not is_loaded(relation) -%}
    select * from ({{ no_rows(relation) }}) as never_loaded {{ beside }}
  {%- else -%}
    {%- set more -%}
      {%- for column in lacking(relation) %}cast(null as text) as {{ column }}, {% endfor -%}
    {%- endset %}
    select * from (
      {{ ranked(relation, key, (run_of(relation) ~ " desc nulls last, " ~ first ~ ", " if first else "") ~ "_sdc_sequence desc nulls last, _sdc_extracted_at desc nulls last", more, beside) }}
    ) as ranked
    where newest = 1 and {{ has_key(key) }}{% if not removed %} and _sdc_deleted_at is null{% endif %}
  {%- endif -%}
{% endmacro %}

{#- Whether a raw table is there. -#}
{% macro is_loaded(relation) %}{{ return(not execute or relation.is_cte or load_relation(relation) is not none) }}{% endmacro %}

{#- Whether a raw row has what makes it unique. The program of a list of the organisation is empty. -#}
{% macro has_key(key) -%}
  {% for column in key %}{{ column }} {{ "is not null" if column == "program_id" else "<> ''" }}{{ " and " if not loop.last }}{% endfor %}
{%- endmacro %}

{#- What rows of one run of the loader have in common; a loader that does not tell gives every row its own. -#}
{% macro run_of(relation) %}
  {%- set told = execute and not relation.is_cte
    and "_sdc_sync_started_at" in adapter.get_columns_in_relation(relation) | map(attribute="name") -%}
  {{- return("coalesce(_sdc_sync_started_at, _sdc_sequence)" if told else "_sdc_sequence") -}}
{% endmacro %}

{#-
  The rows of a table or CTE with `newest`, which is 1 for the first of each key in an order; `more` are further columns, each with a comma
  after it, and `beside` what is joined to each row.
-#}
{% macro ranked(relation, key, order, more="", beside="") %}{{ return(adapter.dispatch("ranked")(relation, key, order, more, beside)) }}{% endmacro %}

{% macro default__ranked(relation, key, order, more, beside="") -%}
  select *, {{ more }}row_number() over (partition by {{ key | join(", ") }} order by {{ order }}) as newest
  from {{ relation }} {{ beside }}
{%- endmacro %}

{#-
  To sort every row by its key takes many times as long as to count hashes of keys, and hardly a key ever occurs twice: only those whose
  hash does are ranked. Two keys that share a hash are ranked apart all the same.
-#}
{% macro duckdb__ranked(relation, key, order, more, beside="") -%}
  {%- set hashed = "hash(" ~ key | join(", ") ~ ")" -%}
  {%- set twice = "(select " ~ hashed ~ " from " ~ relation ~ " group by 1 having count(*) > 1)" -%}
  select *, {{ more }}1 as newest
  from {{ relation }} {{ beside }}
  where {{ hashed }} not in {{ twice }}
  union all
  select *, {{ more }}row_number() over (partition by {{ key | join(", ") }} order by {{ order }}) as newest
  from {{ relation }} {{ beside }}
  where {{ hashed }} in {{ twice }}
{%- endmacro %}

{#- The columns the source declares, and not a single row. -#}
{% macro no_rows(relation) %}
  select
    {% for column in declared(relation) %}cast(null as text) as {{ column }}, {% endfor %}
    cast(null as timestamptz) as _sdc_extracted_at,
    cast(null as timestamptz) as _sdc_deleted_at,
    cast(null as bigint) as _sdc_sequence,
    cast(null as bigint) as _sdc_sync_started_at
  where false
{%- endmacro %}

{#- Names of the columns that the source of a table declares. -#}
{% macro declared(relation) %}
  {%- set entry = graph.sources.values() | selectattr("schema", "equalto", relation.schema)
    | selectattr("identifier", "equalto", relation.identifier) | first -%}
  {{- return(entry.columns | list) -}}
{% endmacro %}

{#- Those of them that the table does not have. -#}
{% macro lacking(relation) %}
  {%- if not execute or relation.is_cte -%}
    {{- return([]) -}}
  {%- endif -%}
  {{- return(declared(relation) | reject("in", adapter.get_columns_in_relation(relation) | map(attribute="name") | list) | list) -}}
{% endmacro %}
