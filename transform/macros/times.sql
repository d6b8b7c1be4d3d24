{#- The day of a moment in the time zone of the school (setting time_zone). -#}
{% macro school_day(moment) %}cast({{ moment }} at time zone '{{ setting("time_zone") }}' as date){% endmacro %}

{#- A moment as a text such as 2026-02-02T06:00:00Z. -#}
{% macro utc_text(moment) -%}
  {%- if target.type == "duckdb" -%}
  strftime({{ moment }} at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ')
  {%- else -%}
  to_char({{ moment }} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
  {%- endif -%}
{%- endmacro %}

{#- A time of a raw table as a moment. target-postgres writes a time in UTC without a zone; a column that was never loaded is text. -#}
{% macro moment(column) -%}
  {%- if target.type == "postgres" %}cast({{ column }} as timestamp) at time zone 'UTC'{% else %}cast({{ column }} as timestamptz){% endif -%}
{%- endmacro %}

{#- Whether a moment is possible: not before 2012, the year in which Coursera began, and at most a day after the run. The query must join run_time. -#}
{% macro can_be(moment) %}{{ moment }} between cast('2012-01-01T00:00:00Z' as timestamptz) and possible_until{% endmacro %}

{#- A time of a raw table, or null if it is impossible. This is not for deadlines, which can be in the future. -#}
{% macro possible(column) %}case when {{ can_be(moment(column)) }} then {{ moment(column) }} end{% endmacro %}

{#- The names of the columns with an impossible moment, separated by blanks; null if there is none. -#}
{% macro impossible(columns) -%}
  nullif(concat_ws(' '
    {%- for column in columns %}, case when not ({{ can_be(moment(column)) }}) then '{{ column }}' end{% endfor %}), '')
{%- endmacro %}

{#- An order by the latest possible time of each row, newest first. The tap ranks rows of one id in the same way (`newer` in reports.py). -#}
{% macro newest_first(columns) -%}
  greatest({% for column in columns %}{{ possible(column) }}{{ ", " if not loop.last }}{% endfor %}) desc nulls last
{%- endmacro %}

{#- Whether a column has an impossible moment, or had a value that is no time. It is false if there was no value. -#}
{% macro is_impossible(column) -%}
  coalesce(not ({{ can_be(moment(column)) }}), false) or ' ' || coalesce(cast(row_problems as text), '') || ' ' like '% {{ column }}:type %'
{%- endmacro %}
