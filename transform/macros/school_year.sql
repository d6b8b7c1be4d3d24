{#- The school year of a day, named after the year of its last day. -#}
{% macro school_year_of(day) %}
  {%- set start = school_year_start() -%}
  (extract(year from {{ day }})
    - case when extract(month from {{ day }}) * 100 + extract(day from {{ day }}) < {{ start.month * 100 + start.day }}
      then 1 else 0 end
    + {{ start.ends_next_year }})
{% endmacro %}

{#- The first day of a school year. -#}
{% macro school_year_starts_on(school_year) %}
  {%- set start = school_year_start() -%}
  make_date(cast({{ school_year }} - {{ start.ends_next_year }} as integer), {{ start.month }}, {{ start.day }})
{% endmacro %}

{#- The title of a school year: 2025-26, or 2026 if it ends in the year in which it began. -#}
{% macro school_year_title(starts_on, ends_before) %}
  {%- set last_day = "(" ~ ends_before ~ " - 1)" -%}
  case
    when extract(year from {{ starts_on }}) = extract(year from {{ last_day }}) then substr(cast({{ starts_on }} as text), 1, 4)
    else substr(cast({{ starts_on }} as text), 1, 4) || '-' || substr(cast({{ last_day }} as text), 3, 2)
  end
{%- endmacro %}
