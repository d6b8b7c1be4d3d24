{#- The id by which reports name a learner: the external id, else the e-mail address. A blank id counts as none. -#}
{% macro learner_id() -%}
  coalesce(case when {{ trimmed("external_id") }} <> '' then external_id end, case when {{ trimmed("email") }} <> '' then email end)
{%- endmacro %}
