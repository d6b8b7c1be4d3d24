{#- Fails with rows in which a column has more characters than `longest` says by column. Nulls pass. -#}
{% test not_too_long(model, longest) %}
  select {{ longest | join(", ") }}
  from {{ model }}
  where {% for column, characters in longest.items() %}length({{ column }}) > {{ characters }}{{ " or " if not loop.last }}{% endfor %}
{% endtest %}
