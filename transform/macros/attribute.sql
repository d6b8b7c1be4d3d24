{#-
  The SQL of a column of a file, as the attribute mapping has it: the default of attribute_targets, or the organisation's own in
  `attributes`. Each source names its table by its entity, so the model must call the table that: `from accounts as learner`.
  A target that is mapped to nothing is null. A mapping that cannot be stops the run.
-#}
{% macro attribute(target) %}
  {%- set source = attribute_mapping(attributes())[target] -%}
  {%- if source == "" -%}
    cast(null as text)
  {%- else -%}
    {%- set entity, name = source.split(".") -%}
    {{ var("attribute_sources")[entity][name] }}
  {%- endif -%}
{% endmacro %}

{#- {target: source, or "" where there is none} for every target that can be mapped; `attributes` are the organisation's own. -#}
{% macro attribute_mapping(attributes) %}
  {%- set targets = var("attribute_targets") -%}
  {%- set mapping = {} -%}
  {%- for target, rule in targets.items() if "fixed" not in rule -%}
    {%- do mapping.update({target: rule["from"]}) -%}
  {%- endfor -%}
  {%- for target, chosen_source in attributes.items() -%}
    {%- set source = chosen_source or "" -%}
    {%- set target = target | string -%}
    {%- set file = target.split(".")[0] -%}
    {%- set sources = readable_sources(file) -%}
    {%- if target in targets and "fixed" in targets[target] -%}
      {%- do exceptions.raise_compiler_error(
        "attributes: " ~ target ~ " cannot be mapped: " ~ targets[target]["fixed"] ~ ".") -%}
    {%- elif target not in targets -%}
      {%- do exceptions.raise_compiler_error(
        "attributes: there is no target " ~ target ~ "; there are: " ~ (mapped_targets(targets, file) or mapped_targets(targets, "")) | join(", ") ~ ".") -%}
    {%- elif not source and targets[target].get("required") -%}
      {%- do exceptions.raise_compiler_error(
        "attributes: " ~ target ~ " is required and cannot be left unmapped; it can be: " ~ sources | join(", ") ~ ".") -%}
    {%- elif source and source not in sources -%}
      {%- do exceptions.raise_compiler_error(
        "attributes: " ~ target ~ " cannot be " ~ source ~ "; it can be: " ~ sources | join(", ") ~ ".") -%}
    {%- endif -%}
    {%- do mapping.update({target: source}) -%}
  {%- endfor -%}
  {{- return(mapping) -}}
{% endmacro %}

{#- The targets of a file that can be mapped; of all files, where it is "". -#}
{% macro mapped_targets(targets, file) %}
  {%- set names = [] -%}
  {%- for target, rule in targets.items() if "fixed" not in rule and (not file or target.startswith(file ~ ".")) -%}
    {%- do names.append(target) -%}
  {%- endfor -%}
  {{- return(names) -}}
{% endmacro %}

{#- The sources that a row of a file knows. -#}
{% macro readable_sources(file) %}
  {%- set names = [] -%}
  {%- for entity in var("attribute_sees").get(file, []) -%}
    {%- for name in var("attribute_sources")[entity] -%}
      {%- do names.append(entity ~ "." ~ name) -%}
    {%- endfor -%}
  {%- endfor -%}
  {{- return(names) -}}
{% endmacro %}
