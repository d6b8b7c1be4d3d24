{#- Fails with each combination of the columns that occurs more than once, and with a null in one of the columns that are not nullable. -#}
{% test unique_together(model, columns, nullable=[]) %}
  select {{ quoted(columns + nullable) | join(", ") }}, count(*) as occurrences
  from {{ model }}
  group by {{ quoted(columns + nullable) | join(", ") }}
  having count(*) > 1 or {{ quoted(columns) | join(" is null or ") }} is null
{% endtest %}
