{#- Fails with scores below 0 or above the setting score_scale, and with those that have another number of decimals. Nulls pass. -#}
{% test on_the_scale(model, column_name) %}
  select {{ column_name }}
  from {{ model }}
  where
    cast({{ column_name }} as double precision) not between 0 and {{ setting("score_scale") }}
    or not ({{ column_name }} ~ '^[0-9]{1,3}[.][0-9]{% raw %}{{% endraw %}{{ 2 if setting("score_scale") == 100 else 4 }}{% raw %}}{% endraw %}$')
{% endtest %}
