{#- The school's day on which a moment falls (var time_zone). -#}
{% macro school_day(moment) %}cast({{ moment }} at time zone '{{ time_zone() }}' as date){% endmacro %}

{#- A moment as text, such as 2026-02-02T06:00:00Z. -#}
{% macro utc_text(moment) %}{{ return(adapter.dispatch("utc_text")(moment)) }}{% endmacro %}

{% macro default__utc_text(moment) %}to_char({{ moment }} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'){% endmacro %}

{% macro duckdb__utc_text(moment) %}strftime({{ moment }} at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ'){% endmacro %}

{#- A time of a raw table as a moment. Of a moment target-postgres keeps the clock in UTC; one that was never loaded is text. -#}
{% macro moment(column) %}{{ return(adapter.dispatch("moment")(column)) }}{% endmacro %}

{% macro default__moment(column) %}cast({{ column }} as timestamptz){% endmacro %}

{% macro postgres__moment(column) %}cast({{ column }} as timestamp) at time zone 'UTC'{% endmacro %}

{#-
  Whether something can have been done at a moment: Coursera was founded in 2012, and nothing is done later than a day after the run. The
  query has to join run_time.
-#}
{% macro can_be(moment) %}{{ moment }} between cast('2012-01-01T00:00:00Z' as timestamptz) and possible_until{% endmacro %}

{#- A time of a raw table at which something was done; null where that cannot be. A deadline is no such time. -#}
{% macro possible(column) %}case when {{ can_be(moment(column)) }} then {{ moment(column) }} end{% endmacro %}

{#- Newest first by those of the times that can be, as the tap ranks rows of one id (`newer` in reports.py). -#}
{% macro newest_first(columns) -%}
  greatest({% for column in columns %}{{ possible(column) }}{{ ", " if not loop.last }}{% endfor %}) desc nulls last
{%- endmacro %}

{#- Those of the columns that hold a moment that cannot be, separated by blanks; null where there is none. -#}
{% macro impossible(columns) -%}
  nullif(concat_ws(' '
    {%- for column in columns %}, case when not ({{ can_be(moment(column)) }}) then '{{ column }}' end{% endfor %}), '')
{%- endmacro %}

{#- Whether a time was told in a way that cannot be believed: not the same as no time at all. -#}
{% macro is_impossible(column) -%}
  coalesce(not ({{ can_be(moment(column)) }}), false) or ' ' || coalesce(cast(row_problems as text), '') || ' ' like '% {{ column }}:type %'
{%- endmacro %}
