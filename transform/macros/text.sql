{#- One line of text as a CSV cell may hold it: Unicode NFC, no line breaks or doubled blanks, at most 255 characters, null when empty. -#}
{% macro one_line(text) %}{{ cut(whole_line(text)) }}{% endmacro %}

{#- The same at any length, for what is taken apart before it is cut. -#}
{% macro whole_line(text) %}nullif(trim({{ without_breaks(text) }}), ''){% endmacro %}

{% macro cut(line) %}rtrim(left({{ line }}, 255)){% endmacro %}

{% macro without_breaks(text) %}{{ return(adapter.dispatch("without_breaks")(text)) }}{% endmacro %}

{% macro default__without_breaks(text) -%}
  regexp_replace(normalize({{ text }}, NFC), '[\s\u0001-\u001f\u007f-\u00a0\u2028\u2029\ufeff]+', ' ', 'g')
{%- endmacro %}

{% macro duckdb__without_breaks(text) -%}
  regexp_replace(nfc_normalize({{ text }}), '[\s\p{Z}\p{Cc}\x{feff}]+', ' ', 'g')
{%- endmacro %}

{#- A percentage as precisely as the files tell it, whatever var score_scale is. -#}
{% macro as_published(percent) %}cast(cast({{ percent }} as decimal(18, 12)) as decimal(9, 2)){% endmacro %}

{#- A percentage as text on the scale of var score_scale, with a fixed number of decimals and never in exponent form. -#}
{% macro score(percent) -%}
  {%- if score_scale() == 100 %}cast({{ as_published(percent) }} as text)
  {%- else %}cast(cast({{ as_published(percent) }} * 0.01 as decimal(9, 4)) as text)
  {%- endif -%}
{%- endmacro %}

{% macro list_of(text) %}string_agg(distinct {{ text }}, ',' order by {{ text }}){% endmacro %}
