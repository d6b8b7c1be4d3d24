{#- The school's day on which a moment falls (var time_zone). -#}
{% macro school_day(moment) %}cast({{ moment }} at time zone '{{ var("time_zone") }}' as date){% endmacro %}

{% macro iso_date(day) %}cast({{ day }} as text){% endmacro %}

{#- A moment as text, such as 2026-02-02T06:00:00Z. -#}
{% macro utc_text(moment) %}{{ return(adapter.dispatch("utc_text")(moment)) }}{% endmacro %}

{% macro default__utc_text(moment) %}to_char({{ moment }} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'){% endmacro %}

{% macro duckdb__utc_text(moment) %}strftime({{ moment }} at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ'){% endmacro %}

{#- A time of a raw table as a moment. Of a moment target-postgres keeps the clock in UTC; one that was never loaded is text. -#}
{% macro moment(column) %}{{ return(adapter.dispatch("moment")(column)) }}{% endmacro %}

{% macro default__moment(column) %}cast({{ column }} as timestamptz){% endmacro %}

{% macro postgres__moment(column) %}cast({{ column }} as timestamp) at time zone 'UTC'{% endmacro %}
