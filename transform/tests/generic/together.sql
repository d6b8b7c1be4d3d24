{% test together(model, columns) %}
  select {{ columns | join(", ") }}
  from {{ model }}
  where ({{ columns | join(" is null or ") }} is null) and ({{ columns | join(" is not null or ") }} is not null)
{% endtest %}
