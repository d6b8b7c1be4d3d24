{#- Fails with every combination of the columns that occurs more than once, or that holds a null. -#}
{% test unique_together(model, columns) %}
  select {{ columns | join(", ") }}, count(*) as occurrences
  from {{ model }}
  group by {{ columns | join(", ") }}
  having count(*) > 1 or {{ columns | join(" is null or ") }} is null
{% endtest %}
