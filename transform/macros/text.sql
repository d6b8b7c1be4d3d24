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

{#- A number of 0 to 100 as text with two decimals, never in exponent form. -#}
{% macro two_decimals(number) %}cast(cast({{ number }} as decimal(9, 2)) as text){% endmacro %}

{% macro list_of(text) %}string_agg(distinct {{ text }}, ',' order by {{ text }}){% endmacro %}
