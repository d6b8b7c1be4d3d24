{#-
  Stops the run if the database sorts text, changes its letter case or stores it in another way than DuckDB. Ids, names and rows would be different.
  These properties of a database are fixed when it is created.
-#}
{% macro check_database() %}{{ return(adapter.dispatch("check_database")()) }}{% endmacro %}

{% macro default__check_database() %}{% endmacro %}

{% macro postgres__check_database() %}
  {%- if execute -%}
    {%- set right = run_query(
      "select getdatabaseencoding() = 'UTF8' and 'B' < 'a' and 'z' < U&'\\00e9' and lower(U&'\\00c9') = U&'\\00e9'").columns[0][0] -%}
    {%- if not right -%}
      {%- do exceptions.raise_compiler_error(
        "The database " ~ target.dbname ~ " does not keep UTF-8 in the order of its code points with the letter case of Unicode: "
        ~ "create another one as docs/postgresql.md says.") -%}
    {%- endif -%}
  {%- endif -%}
{% endmacro %}
