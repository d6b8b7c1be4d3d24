{#- One line of text as a CSV cell may hold it: Unicode NFC, no line breaks or doubled blanks, at most 255 characters, null when empty. -#}
{% macro one_line(text) %}{{ cut(whole_line(text)) }}{% endmacro %}

{#- The same at any length, for what is taken apart before it is cut. -#}
{% macro whole_line(text) %}nullif({{ trimmed(without_breaks(text)) }}, ''){% endmacro %}

{% macro cut(line) %}rtrim(left({{ line }}, 255)){% endmacro %}

{% macro without_breaks(text) %}{{ return(adapter.dispatch("without_breaks")(text)) }}{% endmacro %}

{#- Unicode's classes Z and Cc, and the byte order mark, which neither is. PostgreSQL knows no classes, and no text of it holds the NUL. -#}
{% macro default__without_breaks(text) -%}
  regexp_replace(normalize({{ text }}, NFC), '[\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+', ' ', 'g')
{%- endmacro %}

{% macro duckdb__without_breaks(text) -%}
  regexp_replace(nfc_normalize({{ text }}), '[\s\p{Z}\p{Cc}\x{feff}]+', ' ', 'g')
{%- endmacro %}

{#- A text without the blanks before and after it, whatever blanks they are. -#}
{% macro trimmed(text) %}{{ return(adapter.dispatch("trimmed")(text)) }}{% endmacro %}

{% macro postgres__trimmed(text) %}btrim({{ text }}, U&' \00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\202f\205f\3000'){% endmacro %}

{% macro default__trimmed(text) %}trim({{ text }}){% endmacro %}

{% macro list_of(text) %}string_agg(distinct {{ text }}, ',' order by {{ text }}){% endmacro %}
