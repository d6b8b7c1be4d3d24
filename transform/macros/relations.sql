{#-
  Models refer to a table by schema and name only. DuckDB names a database after its file, so a view with that name in it would not work in a copy
  of the file, or in a file that is attached under another name.
-#}
{% macro ref() %}{{ return(builtins.ref(*varargs, **kwargs).include(database=false)) }}{% endmacro %}

{#- The names of columns, quoted as the database quotes names. -#}
{% macro quoted(columns) %}
  {%- set names = [] -%}
  {%- for column in columns %}{% do names.append(adapter.quote(column)) %}{% endfor -%}
  {{- return(names) -}}
{% endmacro %}

{% macro source() %}{{ return(builtins.source(*varargs).include(database=false)) }}{% endmacro %}
