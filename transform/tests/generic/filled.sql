{#- Fails with rows in which one of the columns is null. One query for all of them, since every dbt test costs its own. -#}
{% test filled(model, columns) %}
  select {{ quoted(columns) | join(", ") }}
  from {{ model }}
  where {{ quoted(columns) | join(" is null or ") }} is null
{% endtest %}
