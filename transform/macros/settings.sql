{#- The only readers of the vars. A value that is not allowed stops the run with the names that are. -#}

{% macro chosen(name, value, allowed) %}
  {%- if value not in allowed -%}
    {%- do exceptions.raise_compiler_error(
      name ~ " is '" ~ value ~ "'; allowed are: " ~ allowed | join(", ") ~ ".") -%}
  {%- endif -%}
  {{- return(value) -}}
{% endmacro %}

{% macro grade_sync() %}
  {{- return(chosen("grade_sync", env_var("CONNECT_GRADE_SYNC", "") or var("grade_sync"), ["final", "granular_all"])) -}}
{% endmacro %}

{% macro identity() %}
  {{- return(chosen("identity", var("identity"), ["coursera_id", "external_id", "email"])) -}}
{% endmacro %}

{% macro id_style() %}
  {{- return(chosen("id_style", var("id_style"), ["readable", "hash"])) -}}
{% endmacro %}

{#- The text, quoted for SQL, that stands for a name somebody does not have. -#}
{% macro name_placeholder() %}{{ return("'" ~ var("name_placeholder") | replace("'", "''") ~ "'") }}{% endmacro %}

{% macro is_on(name) %}
  {{- return(chosen(name, var(name) | string | lower, ["true", "false"])) -}}
{% endmacro %}

{#- {month, day, ends_next_year}: a year that begins on 1 January ends in the year it began. -#}
{% macro school_year_start() %}
  {%- set start = var("school_year_start") | string -%}
  {%- set valid = modules.re.match("^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", start)
    and start not in ["02-29", "02-30", "02-31", "04-31", "06-31", "09-31", "11-31"] -%}
  {%- if not valid -%}
    {%- do exceptions.raise_compiler_error(
      "school_year_start is '" ~ start ~ "'; it must be a month and a day of every year, such as 08-01.") -%}
  {%- endif -%}
  {{- return({"month": start[:2] | int, "day": start[3:] | int, "ends_next_year": 0 if start == "01-01" else 1}) -}}
{% endmacro %}
