{#- Fails with rows whose column is later than another one. Nulls pass. -#}
{% test before(model, column_name, later) %}
  select {{ column_name }}, {{ later }}
  from {{ model }}
  where {{ column_name }} > {{ later }}
{% endtest %}
