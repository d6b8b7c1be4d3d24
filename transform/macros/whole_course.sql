{#- Stands for the course itself where an item id is asked for: no id of Coursera has a `~` in it. -#}
{% macro whole_course() %}'~'{% endmacro %}
