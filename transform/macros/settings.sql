{#-
  Models read a setting by `setting(name)`. A value that is not allowed stops the run before dbt makes anything, and the message says what is
  allowed. Only a name of a list, a number, true or false, or a text whose quotes are doubled gets into SQL.
-#}

{#- The settings that an organisation chooses. Each has a regular expression for the whole of its value, what a wrong value has to be, and its type. -#}
{% macro setting_rules() %}
  {%- set length = ["0?[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]", "it must be a whole number from 10 to 255", "number"] -%}
  {%- set switch = ["true|false", "allowed are: true, false", "switch"] -%}
  {%- set day = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])" -%}
  {%- set visible = "(?=\\S)[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]{1,100}(?<=\\S)" -%}
  {{- return({
    "grade_sync": ["final|final_incremental|granular_selected|granular_all",
      "allowed are: final, final_incremental, granular_selected, granular_all", "text"],
    "score_scale": ["100|1", "allowed are: 100, 1", "number"],
    "above_maximum": ["cap|leave_out", "allowed are: cap, leave_out", "text"],
    "line_item_title_length": length,
    "category_title_length": length,
    "calendar": ["school_year|evergreen|terms", "allowed are: school_year, evergreen, terms", "text"],
    "time_zone": ["", "it must be the name of an IANA time zone, such as Europe/Amsterdam", "zone"],
    "school_year_start": [day, "it must be a month and a day of every year, such as 08-01", "text"],
    "first_school_year": ["(19|20|21)[0-9]{2}", "it must be the year in which a school year ends, such as 2012", "number"],
    "identity": ["coursera_id|external_id|email", "allowed are: coursera_id, external_id, email", "text"],
    "id_style": ["readable|hash", "allowed are: readable, hash", "text"],
    "name_placeholder": [visible, "it must be a text of 1 to 100 letters on one line, without blanks at its ends", "text"],
    "empty_classes": switch,
    "attributes": ["", "it must be a mapping of targets to sources, such as {users.sms: learner.external_id}", "mapping"],
    "include_invited": switch,
  }) -}}
{% endmacro %}

{#- A setting as a text, a number, true or false, or a mapping. -#}
{% macro setting(name) %}
  {%- set pattern, instead, type = setting_rules()[name] -%}
  {%- set value = chosen_value(name) -%}
  {%- set text = value | string | lower if type == "switch" else value | string -%}
  {%- if type == "mapping" %}{% set is_allowed = value is mapping or not value -%}
  {%- elif type == "zone" %}{% set is_allowed = text in modules.pytz.all_timezones_set -%}
  {%- else %}{% set is_allowed = modules.re.match("(" ~ pattern ~ ")\\Z", text) %}{% endif -%}
  {%- if not is_allowed %}{% do not_allowed(name, value, instead) %}{% endif -%}
  {{- return({"number": text | int, "switch": text == "true", "mapping": value or {}}.get(type, text)) -}}
{% endmacro %}

{#-
  The value that was chosen for a setting: on the command line (--vars), else by Meltano (CONNECT_<NAME>), else the default in dbt_project.yml. The
  example of a model, which is a unit test, does not follow what an organisation has chosen.
-#}
{% macro chosen_value(name) %}
  {%- set told = invocation_args_dict.get("vars") -%}
  {%- set by_meltano = env_var("CONNECT_" ~ name | upper, "") -%}
  {%- set is_example = model is defined and model.resource_type == "unit_test" -%}
  {%- if (told is mapping and name in told) or not by_meltano or is_example %}{{ return(var(name)) }}{% endif -%}
  {{- return(fromjson(by_meltano, by_meltano) if name == "attributes" else by_meltano) -}}
{% endmacro %}

{#- Stops the run if a setting is wrong. dbt renders the Jinja in a var, so that afterwards nobody can see what the var was. -#}
{% macro check_settings() %}
  {%- set told = invocation_args_dict.get("vars") -%}
  {%- set given = dict(told) if told is mapping else {} -%}
  {%- for name in setting_rules() %}{% do given.setdefault(name, env_var("CONNECT_" ~ name | upper, "")) %}{% endfor -%}
  {%- for name, value in given.items() if value is string and modules.re.search("[{][{%#]", value) -%}
    {%- do not_allowed(name, value, "it must be plain, without Jinja") -%}
  {%- endfor -%}
  {%- for name in setting_rules() %}{% do setting(name) %}{% endfor -%}
  {%- if execute %}{% do attribute_mapping(setting("attributes")) %}{% endif -%}
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

{#- Whether a class has one grade, and not one for each item. -#}
{% macro is_graded_as_a_whole() %}{{ return(setting("grade_sync") in ["final", "final_incremental"]) }}{% endmacro %}

{#- A text, quoted for SQL. -#}
{% macro literal(text) %}{{ return("'" ~ text | string | replace("'", "''") ~ "'") }}{% endmacro %}
