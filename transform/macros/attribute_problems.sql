{#-
  Appends to the list `problems` what is wrong with an organisation's own attribute mapping (`chosen`, the source by target), each as {target,
  sentence, name, names, otherwise}. `name` is the part of the sentence that may be mistyped, `names` are the possible ones, and `otherwise` is the
  rest of the sentence where none of these is similar. `data` has the sources, sees and targets of models/oneroster/attributes.yml.

  A build stops at the first problem. `connect attributes check` renders this same file with Jinja, and adds line numbers and similar names
  (setup/attributes.py), so this macro calls nothing that only dbt has.
-#}
{% macro attribute_problems(data, chosen, problems) %}
  {%- set sources = [] -%}
  {%- for entity, names in data["sources"].items() -%}
    {%- for name in names %}{% do sources.append(entity ~ "." ~ name) %}{% endfor -%}
  {%- endfor -%}
  {%- for target, source in chosen.items() -%}
    {%- set file = target.split(".")[0] -%}
    {%- set rule = data["targets"].get(target) -%}
    {%- set seen = data["sees"].get(file) or [] -%}
    {%- set found = {"target": target, "names": [], "name": "", "otherwise": ""} -%}
    {%- if rule is none -%}
      {%- set mappable = [] -%}
      {%- for name, other in data["targets"].items() if name.split(".")[0] == file and "from" in other %}{% do mappable.append(name) %}{% endfor -%}
      {%- do found.update({
        "sentence": "there is no attribute " ~ target ~ ":",
        "name": target,
        "names": data["targets"] | list,
        "otherwise": " those of " ~ file ~ " are " ~ mappable | join(", ") ~ "." if mappable else " connect attributes list shows all.",
      }) -%}
    {%- elif "fixed" in rule -%}
      {%- do found.update({"sentence": target ~ " cannot be mapped, since it follows a rule: " ~ rule["fixed"] ~ "."}) -%}
    {%- elif source and source is not string -%}
      {%- do found.update({"sentence": target ~ " has to be one source, such as " ~ (rule["from"] or "learner.external_id") ~ ", or blank."}) -%}
    {%- elif not source and rule["required"] -%}
      {%- do found.update({"sentence": target ~ " is required by OneRoster, so it cannot be unmapped: remove this line, or name a source."}) -%}
    {%- elif source and source not in sources -%}
      {%- do found.update({
        "sentence": "there is no source " ~ source ~ " for " ~ target ~ ":",
        "name": source,
        "names": sources,
        "otherwise": " see the sources in models/oneroster/attributes.yml.",
      }) -%}
    {%- elif source and source.split(".")[0] not in seen -%}
      {%- set entity = source.split(".")[0] -%}
      {%- do found.update({
        "sentence": target ~ " cannot be filled from " ~ source ~ ", since " ~ file ~ " do not know a " ~ entity ~ "; they know: "
          ~ (seen | sort | join(", ") or "none") ~ ".",
      }) -%}
    {%- endif -%}
    {%- if "sentence" in found %}{% do problems.append(found) %}{% endif -%}
  {%- endfor -%}
{% endmacro %}
