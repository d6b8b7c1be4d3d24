{#- Fails with the number of rows of a model that has more than one. -#}
{% test at_most_one_row(model) %}
  select count(*) as rows_found
  from {{ model }}
  having count(*) > 1
{% endtest %}
