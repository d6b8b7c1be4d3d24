{#-
  Stops the run if PostgreSQL sorts text, changes its letter case or stores it in another way than DuckDB. Ids, names and rows would be different.
  These properties of a database are fixed when it is created.
-#}
{% macro check_database() %}
  {%- if execute and target.type == "postgres" and not run_query(
    "select getdatabaseencoding() = 'UTF8' and 'B' < 'a' and 'z' < U&'\\00e9' and lower(U&'\\00c9') = U&'\\00e9'").columns[0][0] -%}
    {%- do exceptions.raise_compiler_error(
      "The database " ~ target.dbname ~ " does not keep UTF-8 in the order of its code points with the letter case of Unicode: "
      ~ "create another one as docs/postgresql.md says.") -%}
  {%- endif -%}
{% endmacro %}
