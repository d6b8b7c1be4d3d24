{#- The item id that stands for the whole course. No id of Coursera has a `~` in it. -#}
{% macro whole_course() %}'~'{% endmacro %}
