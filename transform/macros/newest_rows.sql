{#-
  The newest raw row of each key, unless the loader has marked it as removed in Coursera (`removed` keeps these, too). Rows without a key are left
  out.

  first: an order that decides which of several rows of one key from one run counts; without it, the row that came last counts. The order can use
  the columns of run_time.
-#}
{% macro newest_rows(relation, key, removed=false, first=none) %}
  {%- set order = "_sdc_sequence desc nulls last, _sdc_extracted_at desc nulls last" -%}
  {%- if first %}{% set order = run_of_loader() ~ " desc nulls last, " ~ first ~ ", " ~ order %}{% endif -%}
  select * from (
    {{ ranked(raw_rows(relation), key, order, "cross join " ~ ref("run_time") if first else "") }}
  ) as ranked
  where newest = 1 and {{ has_key(key) }}{% if not removed %} and _sdc_deleted_at is null{% endif %}
{% endmacro %}

{#- A raw table as a table of a query: a stream that was never loaded has no rows, and a declared column that the table does not have yet is null. -#}
{% macro raw_rows(relation) %}
  {%- if not execute or relation.is_cte %}{{ return(relation) }}{% endif -%}
  {%- set entry = graph.sources.values() | selectattr("schema", "equalto", relation.schema)
    | selectattr("identifier", "equalto", relation.identifier) | first -%}
  {%- set types = dict.fromkeys(entry.columns, "text") -%}
  {%- do types.update(dict.fromkeys(["_sdc_extracted_at", "_sdc_deleted_at"], "timestamptz")) -%}
  {%- do types.update(dict.fromkeys(["_sdc_sequence", "_sdc_sync_started_at", "_sdc_table_version"], "bigint")) -%}
  {%- set there = adapter.get_columns_in_relation(relation) | map(attribute="name") | list if is_loaded(relation) else [] -%}
  {%- set cells = ["*"] if there else [] -%}
  {%- for name, type in types.items() if name not in there %}{% do cells.append("cast(null as " ~ type ~ ") as " ~ name) %}{% endfor -%}
  {%- if cells == ["*"] %}{{ return(relation) }}{% endif -%}
  {{- return("(select " ~ cells | join(", ") ~ (" from " ~ relation if there else " where false") ~ ") as raw_rows") -}}
{% endmacro %}

{#- Whether a raw table exists. -#}
{% macro is_loaded(relation) %}{{ return(not execute or relation.is_cte or load_relation(relation) is not none) }}{% endmacro %}

{#- Whether a raw row has all columns of its key. Only the program may be an empty text, as in lists of the organisation. -#}
{% macro has_key(key) -%}
  {% for column in key %}{{ column }} {{ "is not null" if column == "program_id" else "<> ''" }}{{ " and " if not loop.last }}{% endfor %}
{%- endmacro %}

{#- A number that all rows of one run of the loader share. Rows of a loader that writes none have a number each. -#}
{% macro run_of_loader() %}coalesce(_sdc_sync_started_at, _sdc_sequence){% endmacro %}

{#- The rows of a table or CTE, with the column `newest`, which is 1 for the first row of each key in an order. `beside` is SQL that joins a table. -#}
{% macro ranked(relation, key, order, beside="") %}{{ return(adapter.dispatch("ranked")(relation, key, order, beside)) }}{% endmacro %}

{% macro default__ranked(relation, key, order, beside="") -%}
  select *, row_number() over (partition by {{ key | join(", ") }} order by {{ order }}) as newest
  from {{ relation }} {{ beside }}
{%- endmacro %}

{#-
  Few keys occur twice, and counting hashes of keys is many times faster than sorting all rows by key. So only rows whose hash occurs twice are
  ranked. Two keys with the same hash are still ranked separately.
-#}
{% macro duckdb__ranked(relation, key, order, beside="") -%}
  {%- set hashed = "hash(" ~ key | join(", ") ~ ")" -%}
  {%- set twice = "(select " ~ hashed ~ " from " ~ relation ~ " group by 1 having count(*) > 1)" -%}
  select *, 1 as newest from {{ relation }} {{ beside }} where {{ hashed }} not in {{ twice }}
  union all
  {{ default__ranked(relation, key, order, beside) }} where {{ hashed }} in {{ twice }}
{%- endmacro %}
