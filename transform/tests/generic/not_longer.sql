{#- Fails with texts that have more characters than a setting allows. Nulls pass. -#}
{% test not_longer(model, column_name, than) %}
  select {{ column_name }}
  from {{ model }}
  where length({{ column_name }}) > {{ setting(than) }}
{% endtest %}
