{#- The only readers of the vars. A value that is not allowed stops the run with the names that are. -#}

{% macro chosen(name, value, allowed) %}
  {%- if value not in allowed -%}
    {%- do exceptions.raise_compiler_error(
      name ~ " is '" ~ value ~ "'; allowed are: " ~ allowed | join(", ") ~ ".") -%}
  {%- endif -%}
  {{- return(value) -}}
{% endmacro %}

{% macro grade_sync() %}
  {{- return(chosen("grade_sync", env_var("CONNECT_GRADE_SYNC", "") or var("grade_sync"), ["final", "final_incremental", "granular_selected", "granular_all"])) -}}
{% endmacro %}

{#- Every var as it is followed, by name: with another value of one of them the tables would be others. -#}
{% macro every_setting() %}
  {%- set found = {"grade_sync": grade_sync()} -%}
  {%- for name in [
    "score_scale", "above_maximum", "line_item_title_length", "category_title_length", "calendar", "time_zone", "school_year_start",
    "first_school_year", "identity", "id_style", "name_placeholder", "empty_classes", "include_invited", "attributes", "attribute_sources",
    "attribute_sees", "attribute_targets",
  ] -%}
    {%- do found.update({name: var(name)}) -%}
  {%- endfor -%}
  {{- return(found) -}}
{% endmacro %}

{#- Whether a class has one grade, rather than one per item. -#}
{% macro is_graded_as_a_whole() %}{{ return(grade_sync() in ["final", "final_incremental"]) }}{% endmacro %}

{% macro calendar() %}
  {{- return(chosen("calendar", var("calendar"), ["school_year", "evergreen", "terms"])) -}}
{% endmacro %}

{#- The score of somebody who has everything right: 100 or 1. -#}
{% macro score_scale() %}
  {{- return(chosen("score_scale", var("score_scale") | string, ["100", "1"]) | int) -}}
{% endmacro %}

{#- What becomes of a score above the maximum. -#}
{% macro above_maximum() %}{{ return(chosen("above_maximum", var("above_maximum"), ["cap", "leave_out"])) }}{% endmacro %}

{#- How many characters a title may have: at least 10, at most the 255 that every reader keeps. -#}
{% macro length_of(name) %}
  {%- set length = var(name) | string -%}
  {%- if not modules.re.match("^[0-9]{2,3}$", length) or not 10 <= length | int <= 255 -%}
    {%- do exceptions.raise_compiler_error(name ~ " is '" ~ length ~ "'; it must be a whole number from 10 to 255.") -%}
  {%- endif -%}
  {{- return(length | int) -}}
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
