{#-
  Models read a setting by the macro of its name. A value that is not allowed stops the run before dbt makes anything, and the message lists the
  allowed values. Only a name of a list, a number, true or false, or a text whose quotes are doubled gets into SQL.
-#}

{% macro check_settings() %}
  {#- dbt renders the Jinja in a var, so that afterwards nobody can see what the var was. -#}
  {%- set told = invocation_args_dict.get("vars") -%}
  {%- set given = told if told is mapping else {} -%}
  {%- for name, value in given.items() if value is string and modules.re.search("[{][{%#]", value) -%}
    {%- do not_allowed(name, value, "it must be plain, without Jinja") -%}
  {%- endfor -%}
  {%- do grade_sync() -%}{%- do above_maximum() -%}{%- do calendar() -%}{%- do identity() -%}{%- do id_style() -%}{%- do score_scale() -%}
  {%- do time_zone() -%}{%- do name_placeholder() -%}{%- do school_year_start() -%}{%- do first_school_year() -%}
  {%- do length_of("line_item_title_length") -%}{%- do length_of("category_title_length") -%}
  {%- do is_on("empty_classes") -%}{%- do is_on("include_invited") -%}
  {%- do attributes() -%}{%- if execute %}{% do attribute_mapping(attributes()) %}{% endif -%}
  {%- for name in chosen_names() if modules.re.search("[{][{%#]", env_var("CONNECT_" ~ name | upper, "")) -%}
    {%- do not_allowed(name, env_var("CONNECT_" ~ name | upper), "it must be plain, without Jinja") -%}
  {%- endfor -%}
  {%- set environment = env_var("MELTANO_ENVIRONMENT", "sandbox") -%}
  {%- if not modules.re.match("[A-Za-z0-9_][A-Za-z0-9_.-]*\\Z", environment) -%}
    {%- do not_allowed("MELTANO_ENVIRONMENT", environment, "it must be the name of a folder in environments") -%}
  {%- endif -%}
{% endmacro %}

{#- Stops the run. Of a long value the message has the beginning. -#}
{% macro not_allowed(name, value, instead) %}
  {%- set line = (value | string).split() | join(" ") -%}
  {%- do exceptions.raise_compiler_error(name ~ " is '" ~ line[:60] ~ ("..." if line | length > 60 else "") ~ "'; " ~ instead ~ ".") -%}
{% endmacro %}

{#- The value of a setting that is one of a list. -#}
{% macro one_of(name, allowed) %}
  {%- set value = setting(name) | string -%}
  {%- if value not in allowed -%}
    {%- do not_allowed(name, value, "allowed are: " ~ allowed | join(", ")) -%}
  {%- endif -%}
  {{- return(value) -}}
{% endmacro %}

{#- The settings that an organisation chooses. -#}
{% macro chosen_names() %}
  {{- return([
    "grade_sync", "score_scale", "above_maximum", "line_item_title_length", "category_title_length", "calendar", "time_zone",
    "school_year_start", "first_school_year", "identity", "id_style", "name_placeholder", "empty_classes", "include_invited", "attributes",
  ]) -}}
{% endmacro %}

{#- A setting from the command line (--vars), else from Meltano (CONNECT_<NAME>), else its default, which is the var in dbt_project.yml. -#}
{% macro setting(name) %}
  {%- set told = invocation_args_dict.get("vars") -%}
  {%- set meant = env_var("CONNECT_" ~ name | upper, "") -%}
  {%- if (told is mapping and name in told) or not meant -%}
    {{- return(var(name)) -}}
  {%- elif name == "attributes" -%}
    {{- return(fromjson(meant, meant)) -}}
  {%- endif -%}
  {{- return(meant) -}}
{% endmacro %}

{#-
  What `connect.build` keeps: the settings that this run follows, and the attribute mapping, both by name. Where one of them changes, the tables
  change, too.
-#}
{% macro every_setting() %}
  {%- set found = {"attribute_mapping": attribute_data()} -%}
  {%- for name in chosen_names() %}{% do found.update({name: setting(name)}) %}{% endfor -%}
  {{- return(found) -}}
{% endmacro %}

{% macro grade_sync() %}{{ return(one_of("grade_sync", ["final", "final_incremental", "granular_selected", "granular_all"])) }}{% endmacro %}

{#- Whether a class has one grade, and not one for each item. -#}
{% macro is_graded_as_a_whole() %}{{ return(grade_sync() in ["final", "final_incremental"]) }}{% endmacro %}

{% macro calendar() %}{{ return(one_of("calendar", ["school_year", "evergreen", "terms"])) }}{% endmacro %}

{#- The score of somebody who has everything right: 100 or 1. -#}
{% macro score_scale() %}{{ return(one_of("score_scale", ["100", "1"]) | int) }}{% endmacro %}

{#- What happens to a score above the maximum. -#}
{% macro above_maximum() %}{{ return(one_of("above_maximum", ["cap", "leave_out"])) }}{% endmacro %}

{% macro identity() %}{{ return(one_of("identity", ["coursera_id", "external_id", "email"])) }}{% endmacro %}

{% macro id_style() %}{{ return(one_of("id_style", ["readable", "hash"])) }}{% endmacro %}

{#- Whether a setting that is true or false is true: a boolean, also in SQL. -#}
{% macro is_on(name) %}
  {%- set value = setting(name) | string | lower -%}
  {%- if value not in ["true", "false"] -%}
    {%- do not_allowed(name, value, "allowed are: true, false") -%}
  {%- endif -%}
  {{- return(value == "true") -}}
{% endmacro %}

{#- The longest title, in characters: at least 10, and at most the 255 that every reader keeps. -#}
{% macro length_of(name) %}
  {%- set length = setting(name) | string -%}
  {%- if not modules.re.match("[0-9]{2,3}\\Z", length) or not 10 <= length | int <= 255 -%}
    {%- do not_allowed(name, length, "it must be a whole number from 10 to 255") -%}
  {%- endif -%}
  {{- return(length | int) -}}
{% endmacro %}

{#- A text, quoted for SQL. -#}
{% macro literal(text) %}{{ return("'" ~ text | string | replace("'", "''") ~ "'") }}{% endmacro %}

{#- The text, quoted for SQL, that stands in for a name that a person does not have. -#}
{% macro name_placeholder() %}
  {%- set text = setting("name_placeholder") -%}
  {%- if text is not string or not 1 <= text | length <= 100 or text != text | trim
    or modules.re.search("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]", text) -%}
    {%- do not_allowed("name_placeholder", text, "it must be a text of 1 to 100 letters on one line, without blanks at its ends") -%}
  {%- endif -%}
  {{- return(literal(text)) -}}
{% endmacro %}

{#- The name of an IANA time zone. -#}
{% macro time_zone() %}
  {%- set zone = setting("time_zone") -%}
  {%- if zone is not string or zone not in modules.pytz.all_timezones_set -%}
    {%- do not_allowed("time_zone", zone, "it must be the name of an IANA time zone, such as Europe/Amsterdam") -%}
  {%- endif -%}
  {{- return(zone) -}}
{% endmacro %}

{% macro first_school_year() %}
  {%- set year = setting("first_school_year") | string -%}
  {%- if not modules.re.match("(19|20|21)[0-9]{2}\\Z", year) -%}
    {%- do not_allowed("first_school_year", year, "it must be the year in which a school year ends, such as 2012") -%}
  {%- endif -%}
  {{- return(year | int) -}}
{% endmacro %}

{#- The organisation's own attribute mapping: source by target. -#}
{% macro attributes() %}
  {%- set own = setting("attributes") or {} -%}
  {%- if own is not mapping -%}
    {%- do not_allowed("attributes", own, "it must be a mapping of targets to sources, such as {users.sms: learner.external_id}") -%}
  {%- endif -%}
  {{- return(own) -}}
{% endmacro %}

{#- {month, day, ends_next_year}; ends_next_year is 0 for a school year that begins on 1 January, else 1. -#}
{% macro school_year_start() %}
  {%- set start = setting("school_year_start") | string -%}
  {%- set valid = modules.re.match("(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\\Z", start)
    and start not in ["02-29", "02-30", "02-31", "04-31", "06-31", "09-31", "11-31"] -%}
  {%- if not valid -%}
    {%- do not_allowed("school_year_start", start, "it must be a month and a day of every year, such as 08-01") -%}
  {%- endif -%}
  {{- return({"month": start[:2] | int, "day": start[3:] | int, "ends_next_year": 0 if start == "01-01" else 1}) -}}
{% endmacro %}
