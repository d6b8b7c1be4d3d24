{#- Fails with rows in which some of the columns are null and others are not. -#}
{% test together(model, columns) %}
  select {{ columns | join(", ") }}
  from {{ model }}
  where ({{ columns | join(" is null or ") }} is null) and ({{ columns | join(" is not null or ") }} is not null)
{% endtest %}
