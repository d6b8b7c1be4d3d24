{#-
  In a database that several machines share, nothing keeps a publish from reading between two models of a run: `connect.build` says whether
  the last run that makes tables has ended with all of them. A DuckDB file has one user at a time.
-#}
{% macro mark_build(ended) %}
  {%- if flags.WHICH in ["build", "run"] -%}{{- return(adapter.dispatch("mark_build")(ended)) -}}{%- endif -%}
{% endmacro %}

{% macro default__mark_build(ended) %}{% endmacro %}

{% macro postgres__mark_build(ended) %}
  {%- if execute and not ended -%}
    create schema if not exists connect;
    create table if not exists connect.build (is_complete boolean);
    delete from connect.build;
    insert into connect.build values (false);
  {%- elif execute and not results | selectattr("node.resource_type", "in", ["model", "seed"]) | rejectattr("status", "equalto", "success") | list -%}
    update connect.build set is_complete = true;
  {%- endif -%}
{% endmacro %}
