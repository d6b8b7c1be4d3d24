{#- Fails with rows in which a name has more letters than a cell of a OneRoster file, or another text more than 1,000. Nulls pass. -#}
{% test not_too_long(model, names=[], others=[]) %}
  select {{ (names + others) | join(", ") }}
  from {{ model }}
  where
    {% for column in names %}length({{ column }}) > 255 or {% endfor %}{% for column in others %}length({{ column }}) > 1000 or {% endfor %}false
{% endtest %}
