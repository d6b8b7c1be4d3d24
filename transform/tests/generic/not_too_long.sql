{#- Fails with rows in which a name has more than the 255 characters of a cell, or another text more than 1,000. Nulls pass. -#}
{% test not_too_long(model, names=[], others=[]) %}
  select {{ (names + others) | join(", ") }}
  from {{ model }}
  where
    {% for column in names %}length({{ column }}) > 255 or {% endfor %}{% for column in others %}length({{ column }}) > 1000 or {% endfor %}false
{% endtest %}
