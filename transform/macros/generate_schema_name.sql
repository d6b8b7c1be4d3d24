{#-
  Schemas are called staging, connect and so on, without the schema of the target in front. In PostgreSQL, CONNECT_BUILD_ASIDE is a prefix for the
  schemas of a build that does not replace the tables (setup/trial_build.py of connect).
-#}
{% macro generate_schema_name(custom_schema_name, node) %}
  {%- set aside = env_var("CONNECT_BUILD_ASIDE", "") if target.type == "postgres" else "" -%}
  {{- aside ~ custom_schema_name | trim if custom_schema_name else target.schema -}}
{% endmacro %}
