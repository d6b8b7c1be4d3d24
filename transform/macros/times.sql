{#- The school's day on which a moment falls (var time_zone). -#}
{% macro school_day(moment) %}cast({{ moment }} at time zone '{{ var("time_zone") }}' as date){% endmacro %}

{% macro iso_date(day) %}cast({{ day }} as text){% endmacro %}
