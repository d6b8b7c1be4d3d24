{#- What the reports call a learner: the external id, or the e-mail address where none was set. A blank one counts as not set. -#}
{% macro learner_id() -%}
  coalesce(case when {{ trimmed("external_id") }} <> '' then external_id end, case when {{ trimmed("email") }} <> '' then email end)
{%- endmacro %}
