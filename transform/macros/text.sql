{#- One line of text as a CSV cell may hold it: Unicode NFC, no line breaks or doubled blanks, at most 255 characters, null when empty. -#}
{% macro one_line(text) %}{{ cut(whole_line(text)) }}{% endmacro %}

{#- The same at any length, for what is taken apart before it is cut. -#}
{% macro whole_line(text) %}nullif({{ trimmed(without_breaks(text)) }}, ''){% endmacro %}

{% macro cut(line) %}rtrim(left({{ line }}, 255)){% endmacro %}

{% macro without_breaks(text) %}{{ return(adapter.dispatch("without_breaks")(text)) }}{% endmacro %}

{#- Unicode's classes Z and Cc, and the byte order mark, which neither is. PostgreSQL knows no classes, and no text of it holds the NUL. -#}
{% macro default__without_breaks(text) -%}
  regexp_replace(normalize({{ without_noncharacters(text) }}, NFC), '[\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+', ' ', 'g')
{%- endmacro %}

{% macro duckdb__without_breaks(text) -%}
  regexp_replace(nfc_normalize({{ without_noncharacters(text) }}), '[\s\p{Z}\p{Cc}\x{feff}]+', ' ', 'g')
{%- endmacro %}

{#-
  A text without what is no character (U+FDD0 to U+FDEF and the last two of each plane), and without the controls that turn the direction
  of the text around them. Line breaks and other controls are made blanks above; tests/awkward_text.json has an example of each.
-#}
{% macro without_noncharacters(text) -%}
  {%- set ends = [] -%}
  {%- for plane in range(17) %}{% do ends.append(code_points(plane * 65536 + 65534, plane * 65536 + 65535)) %}{% endfor -%}
  {%- set turns = code_points(1564, 1564) ~ code_points(8206, 8207) ~ code_points(8234, 8238) ~ code_points(8294, 8297) -%}
  regexp_replace({{ text }}, '[{{ code_points(64976, 65007) ~ ends | join ~ turns }}]', '', 'g')
{%- endmacro %}

{#- A range of characters in a bracket expression. -#}
{% macro code_points(first, last) %}{{ return(adapter.dispatch("code_points")(first, last)) }}{% endmacro %}

{% macro default__code_points(first, last) %}{{ return("\\U%08x-\\U%08x" % (first, last)) }}{% endmacro %}

{% macro duckdb__code_points(first, last) %}{{ return("\\x{%x}-\\x{%x}" % (first, last)) }}{% endmacro %}

{#- A text without the blanks before and after it, whatever blanks they are. -#}
{% macro trimmed(text) %}{{ return(adapter.dispatch("trimmed")(text)) }}{% endmacro %}

{% macro postgres__trimmed(text) %}btrim({{ text }}, U&' \00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\202f\205f\3000'){% endmacro %}

{% macro default__trimmed(text) %}trim({{ text }}){% endmacro %}

{#- An id or address to be compared where letter case and outer blanks do not count; blank is null. -#}
{% macro folded(text) %}nullif(lower({{ trimmed(text) }}), ''){% endmacro %}

{% macro list_of(text) %}string_agg(distinct {{ text }}, ',' order by {{ text }}){% endmacro %}
