{#- An id, unless it may be an e-mail address or hold one. -#}
{% macro unless_email(id) %}case when {{ id }} not like '%@%' then {{ id }} end{% endmacro %}
