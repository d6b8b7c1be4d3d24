{#- Fails with every combination of the columns that occurs more than once, or that holds a null. A raw table that was never loaded passes. -#}
{% test unique_together(model, columns) %}
  {% if execute and load_relation(model) is none %}
    select 1 as nothing where false
  {% else %}
    select {{ columns | join(", ") }}, count(*) as occurrences
    from {{ model }}
    group by {{ columns | join(", ") }}
    having count(*) > 1 or {{ columns | join(" is null or ") }} is null
  {% endif %}
{% endtest %}
