{#- Fails with each combination of the columns `within` that has more than one value in one of the columns `of`; null is a value. -#}
{% test one_value(model, of, within) %}
  select {{ within | join(", ") }}
  from {{ model }}
  group by {{ within | join(", ") }}
  having {% for column in of %}count(distinct coalesce({{ column }}, '')) > 1{{ " or " if not loop.last }}{% endfor %}
{% endtest %}
