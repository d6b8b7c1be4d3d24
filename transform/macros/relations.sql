{#-
  What a model reads is named by schema and table alone: DuckDB calls a database as its file is called, and a view that held that name
  would be of no use in a copy, or in a file that is attached under another name.
-#}
{% macro ref() %}{{ return(builtins.ref(*varargs, **kwargs).include(database=false)) }}{% endmacro %}

{#- The names of columns, quoted as the database quotes names. -#}
{% macro quoted(columns) %}
  {%- set names = [] -%}
  {%- for column in columns %}{% do names.append(adapter.quote(column)) %}{% endfor -%}
  {{- return(names) -}}
{% endmacro %}

{% macro source() %}{{ return(builtins.source(*varargs).include(database=false)) }}{% endmacro %}
