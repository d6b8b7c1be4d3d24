{#- A text as one line for a CSV cell: Unicode NFC, no line breaks or repeated blanks, at most 255 characters; null if it is blank. -#}
{% macro one_line(text) %}{{ cut(whole_line(text)) }}{% endmacro %}

{#- The first 255 characters of a line. -#}
{% macro cut(line) %}rtrim(left({{ line }}, 255)){% endmacro %}

{#-
  The same as one_line without the limit of 255 characters, for texts that a model splits before it shortens them. Each sequence of blanks, line
  breaks and control characters becomes one blank: Unicode's classes Z and Cc, and the byte order mark. Noncharacters (U+FDD0 to U+FDEF and the last
  two code points of each plane) are dropped, and so are the controls that change the direction of text. tests/awkward_text.json has an example of
  each. PostgreSQL knows no classes, and its texts cannot contain NUL.
-#}
{% macro whole_line(text) -%}
  {%- set point = "\\x{%x}" if target.type == "duckdb" else "\\U%08x" -%}
  {%- set ranges = [(64976, 65007)] -%}
  {%- for plane in range(17) %}{% do ranges.append((plane * 65536 + 65534, plane * 65536 + 65535)) %}{% endfor -%}
  {%- set dropped = [] -%}
  {%- for ends in ranges + [(1564, 1564), (8206, 8207), (8234, 8238), (8294, 8297)] %}{% do dropped.append((point ~ "-" ~ point) % ends) %}{% endfor -%}
  {%- set kept = "regexp_replace(" ~ text ~ ", '[" ~ dropped | join ~ "]', '', 'g')" -%}
  {%- if target.type == "duckdb" -%}
    {%- set spaced = "regexp_replace(nfc_normalize(" ~ kept ~ "), '[\\s\\p{Z}\\p{Cc}\\x{feff}]+', ' ', 'g')" -%}
  {%- else -%}
    {%- set blank = "[\\u0001-\\u0020\\u007f-\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff]+" -%}
    {%- set spaced = "regexp_replace(normalize(" ~ kept ~ ", NFC), '" ~ blank ~ "', ' ', 'g')" -%}
  {%- endif -%}
  nullif({{ trimmed(spaced) }}, '')
{%- endmacro %}

{#- A text without blanks of any kind before and after it. -#}
{% macro trimmed(text) -%}
  {%- if target.type == "postgres" %}btrim({{ text }}, U&' \00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\202f\205f\3000')
  {%- else %}trim({{ text }}){% endif -%}
{%- endmacro %}

{#- An id or address for comparisons without letter case and outer blanks; null if it is blank. -#}
{% macro folded(text) %}nullif(lower({{ trimmed(text) }}), ''){% endmacro %}

{#- The id by which reports name a learner: the external id, else the e-mail address. A blank id counts as none. -#}
{% macro learner_id() -%}
  coalesce(case when {{ trimmed("external_id") }} <> '' then external_id end, case when {{ trimmed("email") }} <> '' then email end)
{%- endmacro %}
