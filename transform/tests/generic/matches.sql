{#- Fails with texts that do not match the whole pattern. Nulls pass. -#}
{% test matches(model, column_name, pattern) %}
  select {{ column_name }}
  from {{ model }}
  where not ({{ column_name }} ~ '^{{ pattern }}$')
{% endtest %}
