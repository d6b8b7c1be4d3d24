{#- Fails with ids that are null, that OneRoster does not allow, that have more than 100 characters, or that differ only in letter case. -#}
{% test sourced_ids(model, column_name) %}
  select lower({{ column_name }}) as folded, count(*) as occurrences
  from {{ model }}
  group by lower({{ column_name }})
  having count(*) > 1 or lower({{ column_name }}) is null or not (lower({{ column_name }}) ~ '^[a-z0-9._-]{1,100}$')
{% endtest %}
