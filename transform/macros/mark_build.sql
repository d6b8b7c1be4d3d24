{#-
  `connect.build` is one row about the last run that makes tables: its id, the settings it followed, and whether it has made all tables
  and found nothing wrong. While dbt is at work, and after a run of a part, one that failed or one that was killed, the tables may be of
  several nights, so nothing publishes them.
-#}
{% macro mark_build(ended) %}
  {%- if execute and flags.WHICH != "test" -%}
    {%- set schema = generate_schema_name("connect", none) -%}
    {%- if ended -%}
      {#- Of two runs at once in one PostgreSQL, the one that ends last may have replaced tables of the other. -#}
      update {{ schema }}.build set
        is_complete = build_id = '{{ invocation_id }}' and {{ all_is_made(results) }},
        ended_at = {{ utc_text("current_timestamp") }};
    {%- else -%}
      create schema if not exists {{ schema }};
      drop table if exists {{ schema }}.build;
      create table {{ schema }}.build as
      select
        '{{ invocation_id }}' as build_id,
        false as is_complete,
        cast(null as text) as ended_at,
        '{{ env_var("MELTANO_PARENT_CONTEXT_UUID", "") | replace("'", "''") }}' as meltano_run,
        '{{ tojson(every_setting(), sort_keys=true) | replace("'", "''") }}' as settings;
    {%- endif -%}
  {%- endif -%}
{% endmacro %}

{#- Whether a run made every table with all its rows, and no test failed. -#}
{% macro all_is_made(results) %}
  {%- set made = results | selectattr("status", "in", ["success", "pass", "warn", "no-op"]) | map(attribute="node.unique_id") | list -%}
  {%- set wanted = graph.nodes.values() | selectattr("resource_type", "in", ["model", "seed"]) | map(attribute="unique_id") -%}
  {{- return((made | length == results | length and not flags.EMPTY and not wanted | reject("in", made) | list) | string | lower) -}}
{% endmacro %}
