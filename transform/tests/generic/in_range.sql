{#- Fails with values outside least..most, both included. Text is read as a number; nulls pass. -#}
{% test in_range(model, column_name, least, most) %}
  select {{ column_name }}
  from {{ model }}
  where cast({{ column_name }} as double precision) not between {{ least }} and {{ most }}
{% endtest %}
