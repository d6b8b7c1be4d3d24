{#- Fails with rows whose column is later than another column, or the same as it unless may_be_equal. Nulls pass. -#}
{% test before(model, column_name, later, may_be_equal=true) %}
  {%- set later = adapter.quote(later) %}
  select {{ column_name }}, {{ later }}
  from {{ model }}
  where {{ column_name }} {{ ">" if may_be_equal else ">=" }} {{ later }}
{% endtest %}
