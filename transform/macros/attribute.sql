{#-
  The SQL of a column of a OneRoster file, by the attribute mapping: from the source that the organisation chose in the setting `attributes`,
  else from the default in models/oneroster/attributes.yml. The SQL of a source names its table by the entity, so a model has to use that
  name: `from {{ ref("accounts") }} as learner`. A column that is mapped to nothing is null.
-#}
{% macro attribute(target) %}
  {%- set chosen = setting("attributes") -%}
  {%- set source = attribute_mapping(chosen)[target] if execute else "" -%}
  {%- if source -%}
    {%- set entity, name = source.split(".") -%}
    {{ attribute_data()["sources"][entity][name] }}
  {%- else -%}
    cast(null as text)
  {%- endif -%}
{% endmacro %}

{#- The sources, sees and targets of models/oneroster/attributes.yml. dbt knows them when it has parsed all files (`execute`). -#}
{% macro attribute_data() %}{{ return(graph.exposures["exposure.coursera_connect.oneroster_files"].config.meta) }}{% endmacro %}

{#- {column: source} for each column that can be mapped; the source is "" for none. `chosen` is the organisation's own mapping. -#}
{% macro attribute_mapping(chosen) %}
  {%- set data = attribute_data() -%}
  {%- set problems = [] -%}
  {%- do attribute_problems(data, chosen, problems) -%}
  {%- if problems -%}
    {%- do exceptions.raise_compiler_error("attributes: " ~ problems[0]["sentence"] ~ problems[0]["otherwise"]) -%}
  {%- endif -%}
  {%- set mapping = {} -%}
  {%- for target, rule in data["targets"].items() if "from" in rule -%}
    {%- do mapping.update({target: chosen.get(target, rule["from"]) or ""}) -%}
  {%- endfor -%}
  {{- return(mapping) -}}
{% endmacro %}
