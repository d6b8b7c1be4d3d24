{#-
  The newest raw row of each key, unless the loader has marked it as removed in Coursera (`removed` keeps these, too). Rows without a key are left
  out. A stream that was never loaded has no rows. A column that the source declares but the table does not have yet is null.

  first: an order that decides which of several rows of one key from one run counts; without it, the row that came last counts. The order can use
  the columns of run_time.
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

{#- Whether a raw table exists. -#}
{% macro is_loaded(relation) %}{{ return(not execute or relation.is_cte or load_relation(relation) is not none) }}{% endmacro %}

{#- Whether a raw row has all columns of its key. Only the program may be an empty text, as in lists of the organisation. -#}
{% macro has_key(key) -%}
  {% for column in key %}{{ column }} {{ "is not null" if column == "program_id" else "<> ''" }}{{ " and " if not loop.last }}{% endfor %}
{%- endmacro %}

{#- A number that all rows of one run of the loader share. Rows of a loader that writes none have a number each. -#}
{% macro run_of(relation) %}
  {%- set told = execute and not relation.is_cte
    and "_sdc_sync_started_at" in adapter.get_columns_in_relation(relation) | map(attribute="name") -%}
  {{- return("coalesce(_sdc_sync_started_at, _sdc_sequence)" if told else "_sdc_sequence") -}}
{% endmacro %}

{#-
  The rows of a table or CTE, with the column `newest`, which is 1 for the first row of each key in an order. `more` is SQL of further columns,
  each with a comma after it; `beside` is SQL that joins another table.
-#}
{% macro ranked(relation, key, order, more="", beside="") %}{{ return(adapter.dispatch("ranked")(relation, key, order, more, beside)) }}{% endmacro %}

{% macro default__ranked(relation, key, order, more, beside="") -%}
  select *, {{ more }}row_number() over (partition by {{ key | join(", ") }} order by {{ order }}) as newest
  from {{ relation }} {{ beside }}
{%- endmacro %}

{#-
  Few keys occur twice, and counting hashes of keys is many times faster than sorting all rows by key. So only rows whose hash occurs twice are
  ranked. Two keys with the same hash are still ranked separately.
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

{#- A query with the columns that the source declares, and without rows. -#}
{% macro no_rows(relation) %}
  select
    {% for column in declared(relation) %}cast(null as text) as {{ column }}, {% endfor %}
    cast(null as timestamptz) as _sdc_extracted_at,
    cast(null as timestamptz) as _sdc_deleted_at,
    cast(null as bigint) as _sdc_sequence,
    cast(null as bigint) as _sdc_sync_started_at
  where false
{%- endmacro %}

{#- The names of the columns that the source of a raw table declares. -#}
{% macro declared(relation) %}
  {%- set entry = graph.sources.values() | selectattr("schema", "equalto", relation.schema)
    | selectattr("identifier", "equalto", relation.identifier) | first -%}
  {{- return(entry.columns | list) -}}
{% endmacro %}

{#- The declared columns that the raw table does not have. -#}
{% macro lacking(relation) %}
  {%- if not execute or relation.is_cte -%}
    {{- return([]) -}}
  {%- endif -%}
  {{- return(declared(relation) | reject("in", adapter.get_columns_in_relation(relation) | map(attribute="name") | list) | list) -}}
{% endmacro %}
