{#-
  A number of a report as a decimal, with which all databases compute alike. NaN and infinity are null. A number beyond +-9999 becomes +-9999, so
  that it fits and is still out of scale.
-#}
{% macro exact(number) -%}
  cast(case when {{ number }} < cast('infinity' as double precision) then greatest(least({{ number }}, 9999), -9999) end as decimal(18, 12))
{%- endmacro %}

{#- A percentage with the two decimals that files have with either value of score_scale. -#}
{% macro as_published(percent) %}cast({{ exact(percent) }} as decimal(9, 2)){% endmacro %}

{#- A percentage from 0 to 100. One above 100 is 100; one that is below 0 also when rounded is null. -#}
{% macro usable(percent) -%}
  case when {{ as_published(percent) }} >= 0 then greatest(least({{ exact(percent) }}, 100), 0) end
{%- endmacro %}
