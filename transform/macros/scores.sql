{#-
  A number of a report as a decimal that every database computes alike. What is no number (NaN, infinity) is null; what is far out of any
  scale stays out of it, and fits.
-#}
{% macro exact(number) -%}
  cast(case when {{ number }} < cast('infinity' as double precision) then greatest(least({{ number }}, 9999), -9999) end as decimal(18, 12))
{%- endmacro %}

{#- A percentage as precisely as the files tell it, whatever var score_scale is. -#}
{% macro as_published(percent) %}cast({{ exact(percent) }} as decimal(9, 2)){% endmacro %}

{#- A percentage from 0 to 100: at most the maximum, and null where it is below zero by more than the files tell. -#}
{% macro usable(percent) -%}
  case when {{ as_published(percent) }} >= 0 then greatest(least({{ exact(percent) }}, 100), 0) end
{%- endmacro %}
