{#- A text as one line for a CSV cell: Unicode NFC, no line breaks or repeated blanks, at most 255 characters; null if it is blank. -#}
{% macro one_line(text) %}{{ cut(whole_line(text)) }}{% endmacro %}

{#- The same without the limit of 255 characters, for texts that a model splits before it shortens them. -#}
{% macro whole_line(text) %}nullif({{ trimmed(without_breaks(text)) }}, ''){% endmacro %}

{#- The first 255 characters of a line. -#}
{% macro cut(line) %}rtrim(left({{ line }}, 255)){% endmacro %}

{#- A text in NFC, in which each sequence of blanks, line breaks and control characters is one blank. -#}
{% macro without_breaks(text) %}{{ return(adapter.dispatch("without_breaks")(text)) }}{% endmacro %}

{#- These are Unicode's classes Z and Cc, and the byte order mark. PostgreSQL knows no classes, and its texts cannot contain NUL. -#}
{% macro default__without_breaks(text) -%}
  regexp_replace(normalize({{ without_noncharacters(text) }}, NFC), '[\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+', ' ', 'g')
{%- endmacro %}

{% macro duckdb__without_breaks(text) -%}
  regexp_replace(nfc_normalize({{ without_noncharacters(text) }}), '[\s\p{Z}\p{Cc}\x{feff}]+', ' ', 'g')
{%- endmacro %}

{#-
  A text without noncharacters (U+FDD0 to U+FDEF and the last two code points of each plane), and without the controls that change the direction of
  text. tests/awkward_text.json has an example of each.
-#}
{% macro without_noncharacters(text) -%}
  {%- set ends = [] -%}
  {%- for plane in range(17) %}{% do ends.append(code_points(plane * 65536 + 65534, plane * 65536 + 65535)) %}{% endfor -%}
  {%- set turns = code_points(1564, 1564) ~ code_points(8206, 8207) ~ code_points(8234, 8238) ~ code_points(8294, 8297) -%}
  regexp_replace({{ text }}, '[{{ code_points(64976, 65007) ~ ends | join ~ turns }}]', '', 'g')
{%- endmacro %}

{#- A range of code points in a bracket expression of a regular expression. -#}
{% macro code_points(first, last) %}{{ return(adapter.dispatch("code_points")(first, last)) }}{% endmacro %}

{% macro default__code_points(first, last) %}{{ return("\\U%08x-\\U%08x" % (first, last)) }}{% endmacro %}

{% macro duckdb__code_points(first, last) %}{{ return("\\x{%x}-\\x{%x}" % (first, last)) }}{% endmacro %}

{#- A text without blanks of any kind before and after it. -#}
{% macro trimmed(text) %}{{ return(adapter.dispatch("trimmed")(text)) }}{% endmacro %}

{% macro postgres__trimmed(text) %}btrim({{ text }}, U&' \00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\202f\205f\3000'){% endmacro %}

{% macro default__trimmed(text) %}trim({{ text }}){% endmacro %}

{#- An id or address for comparisons without letter case and outer blanks; null if it is blank. -#}
{% macro folded(text) %}nullif(lower({{ trimmed(text) }}), ''){% endmacro %}

{#- The different texts of a group as one list, sorted, with commas. -#}
{% macro list_of(text) %}string_agg(distinct {{ text }}, ',' order by {{ text }}){% endmacro %}
