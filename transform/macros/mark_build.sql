{#-
  `connect.build` has one row about the last run that makes tables: its id, its settings, and whether it made all tables and no test failed. During
  a run, and after a run that made a part of the tables, failed or was killed, the tables may come from different runs, so that they cannot be
  published. `settings` has the settings that the run follows and the attribute mapping, by name: where one of them changes, the tables change, too.
-#}
{% macro mark_build(ended) %}
  {%- if execute and flags.WHICH != "test" -%}
    {%- set schema = generate_schema_name("connect", none) -%}
    {%- if ended -%}
      {%- set made = results | selectattr("status", "in", ["success", "pass", "warn", "no-op"]) | map(attribute="node.unique_id") | list -%}
      {%- set wanted = graph.nodes.values() | selectattr("resource_type", "in", ["model", "seed"]) | map(attribute="unique_id") -%}
      {%- set is_whole = made | length == results | length and not flags.EMPTY and not wanted | reject("in", made) | list -%}
      {#- Two runs at once in one PostgreSQL may have replaced tables of each other, so the run that does not own the row is not complete. -#}
      update {{ schema }}.build set
        is_complete = build_id = '{{ invocation_id }}' and {{ is_whole | string | lower }},
        ended_at = {{ utc_text("current_timestamp") }};
    {%- else -%}
      {%- set settings = {"attribute_mapping": attribute_data()} -%}
      {%- for name in setting_rules() %}{% do settings.update({name: chosen_value(name)}) %}{% endfor -%}
      create schema if not exists {{ schema }};
      drop table if exists {{ schema }}.build;
      create table {{ schema }}.build as
      select
        '{{ invocation_id }}' as build_id,
        false as is_complete,
        cast(null as text) as ended_at,
        {{ literal(env_var("MELTANO_PARENT_CONTEXT_UUID", "")) }} as meltano_run,
        {{ literal(tojson(settings, sort_keys=true)) }} as settings;
    {%- endif -%}
  {%- endif -%}
{% endmacro %}
