{#- The day of a moment in the time zone of the school (setting time_zone). -#}
{% macro school_day(moment) %}cast({{ moment }} at time zone '{{ time_zone() }}' as date){% endmacro %}

{#- A moment as a text such as 2026-02-02T06:00:00Z. -#}
{% macro utc_text(moment) %}{{ return(adapter.dispatch("utc_text")(moment)) }}{% endmacro %}

{% macro default__utc_text(moment) %}to_char({{ moment }} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'){% endmacro %}

{% macro duckdb__utc_text(moment) %}strftime({{ moment }} at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ'){% endmacro %}

{#- A time of a raw table as a moment. target-postgres writes a time in UTC without a zone; a column that was never loaded is text. -#}
{% macro moment(column) %}{{ return(adapter.dispatch("moment")(column)) }}{% endmacro %}

{% macro default__moment(column) %}cast({{ column }} as timestamptz){% endmacro %}

{% macro postgres__moment(column) %}cast({{ column }} as timestamp) at time zone 'UTC'{% endmacro %}

{#- Whether a moment is possible: not before 2012, the year in which Coursera began, and at most a day after the run. The query must join run_time. -#}
{% macro can_be(moment) %}{{ moment }} between cast('2012-01-01T00:00:00Z' as timestamptz) and possible_until{% endmacro %}

{#- A time of a raw table, or null if it is impossible. This is not for deadlines, which can be in the future. -#}
{% macro possible(column) %}case when {{ can_be(moment(column)) }} then {{ moment(column) }} end{% endmacro %}

{#- An order by the latest possible time of each row, newest first. The tap ranks rows of one id in the same way (`newer` in reports.py). -#}
{% macro newest_first(columns) -%}
  greatest({% for column in columns %}{{ possible(column) }}{{ ", " if not loop.last }}{% endfor %}) desc nulls last
{%- endmacro %}

{#- The names of the columns with an impossible moment, separated by blanks; null if there is none. -#}
{% macro impossible(columns) -%}
  nullif(concat_ws(' '
    {%- for column in columns %}, case when not ({{ can_be(moment(column)) }}) then '{{ column }}' end{% endfor %}), '')
{%- endmacro %}

{#- Whether a column has an impossible moment, or had a value that is no time. It is false if there was no value. -#}
{% macro is_impossible(column) -%}
  coalesce(not ({{ can_be(moment(column)) }}), false) or ' ' || coalesce(cast(row_problems as text), '') || ' ' like '% {{ column }}:type %'
{%- endmacro %}
