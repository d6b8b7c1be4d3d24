{#- The school year of a day, named after the year of its last day. -#}
{% macro school_year_of(day) %}
  {%- set start = setting("school_year_start") -%}
  (extract(year from {{ day }})
    - case when extract(month from {{ day }}) * 100 + extract(day from {{ day }}) < {{ start | replace("-", "") | int }} then 1 else 0 end
    + {{ 0 if start == "01-01" else 1 }})
{% endmacro %}

{#- The first day of a school year. -#}
{% macro school_year_starts_on(school_year) %}
  {%- set start = setting("school_year_start") -%}
  make_date(cast({{ school_year }} - {{ 0 if start == "01-01" else 1 }} as integer), {{ start[:2] | int }}, {{ start[3:] | int }})
{% endmacro %}

{#- The title of a school year: 2025-26, or 2026 if it ends in the year in which it began. -#}
{% macro school_year_title(starts_on, ends_before) %}
  {%- set last_day = "(" ~ ends_before ~ " - 1)" -%}
  case
    when extract(year from {{ starts_on }}) = extract(year from {{ last_day }}) then substr(cast({{ starts_on }} as text), 1, 4)
    else substr(cast({{ starts_on }} as text), 1, 4) || '-' || substr(cast({{ last_day }} as text), 3, 2)
  end
{%- endmacro %}
