{#-
  The SQL of a column of a OneRoster file, by the attribute mapping: from the source that the organisation chose in the setting `attributes`,
  else from the default in models/oneroster/attributes.yml. The SQL of a source names its table by the entity, so a model has to use that
  name: `from {{ ref("accounts") }} as learner`. A column that is mapped to nothing is null.
-#}
{% macro attribute(target) %}
  {%- set chosen = attributes() -%}
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

{#-
  {column: source} for each column that can be mapped; the source is "" for none. `chosen` is the organisation's own mapping. A choice that is
  not possible stops the run; `connect attributes check` explains it and names the line.
-#}
{% macro attribute_mapping(chosen) %}
  {%- set data = attribute_data() -%}
  {%- set mapping = {} -%}
  {%- for target, rule in data["targets"].items() if "from" in rule -%}
    {%- set possible = [] if rule["required"] else [""] -%}
    {%- for entity in data["sees"][target.split(".")[0]] -%}
      {%- for name in data["sources"][entity] %}{% do possible.append(entity ~ "." ~ name) %}{% endfor -%}
    {%- endfor -%}
    {%- do mapping.update({target: chosen.get(target, rule["from"]) or ""}) -%}
    {%- if mapping[target] not in possible -%}
      {%- do exceptions.raise_compiler_error("attributes: " ~ target ~ " cannot be '" ~ mapping[target] ~ "': connect attributes check tells why.") -%}
    {%- endif -%}
  {%- endfor -%}
  {%- for target in chosen if target not in mapping -%}
    {%- do exceptions.raise_compiler_error("attributes: " ~ target ~ " cannot be mapped: connect attributes check tells why.") -%}
  {%- endfor -%}
  {{- return(mapping) -}}
{% endmacro %}
