{#-
  Schemas are called staging, connect and oneroster, without the target's schema in front. In PostgreSQL, CONNECT_BUILD_ASIDE is what the
  schemas of a build aside begin with (warehouse/trial_build.py of connect).
-#}
{% macro generate_schema_name(custom_schema_name, node) %}
  {%- set aside = env_var("CONNECT_BUILD_ASIDE", "") if target.type == "postgres" else "" -%}
  {{- aside ~ custom_schema_name | trim if custom_schema_name else target.schema -}}
{% endmacro %}
