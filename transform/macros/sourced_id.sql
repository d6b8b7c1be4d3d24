{#-
  A OneRoster sourcedId from its kind and the columns that make it unique: `kind.part.part` when every part is made of letters,
  digits, `-` and `_` and the whole has at most 100 characters, else `kind.h` and 40 hex digits of the SHA-256 of the parts.
  Parts must not be null and must never change for the same thing.
-#}
{% macro sourced_id(kind, parts) %}
  {%- set hashed -%}
    '{{ kind }}.h' || left({{ sha256_hex(parts | join(" || chr(31) || ")) }}, 40)
  {%- endset -%}
  {%- if id_style() == "hash" -%}
    {{ hashed }}
  {%- else -%}
    case
      when
        {#- One match for all parts: a dot within one of them would be one more than there may be. #}
        {{ parts | join(" || '.' || ") }} ~ '^[A-Za-z0-9_-]+{{ "[.][A-Za-z0-9_-]+" * (parts | length - 1) }}$'
        and length('{{ kind }}.' || {{ parts | join(" || '.' || ") }}) <= 100
      then '{{ kind }}.' || {{ parts | join(" || '.' || ") }}
      else {{ hashed }}
    end
  {%- endif -%}
{% endmacro %}

{#- Of a class, or of one section of it where it has sections. The section may be null. -#}
{% macro class_sourced_id(program, course, section) %}{{ sectioned_id("class", [program, course], section) }}{% endmacro %}

{#- The same for anything in a class: the section's part, unless it is null, comes after those of the class. -#}
{% macro sectioned_id(kind, class_parts, section, more=[]) %}
    case
      when {{ section }} is null then {{ sourced_id(kind, class_parts + more) }}
      else {{ sourced_id(kind, class_parts + [section] + more) }}
    end
{%- endmacro %}

{#-
  An id as a part of sourcedIds. Coursera ids that differ only in letter case are one and the same id to PowerSchool: the `~` makes
  sourced_id() take the hash for both. Only in a model with one row per id (within the columns of `within`).
-#}
{% macro id_part(id, within=[]) %}
  {{ id }} || case when count(*) over (partition by {{ (within + ["lower(" ~ id ~ ")"]) | join(", ") }}) > 1 then '~' else '' end
{% endmacro %}

{% macro sha256_hex(text) %}{{ return(adapter.dispatch("sha256_hex")(text)) }}{% endmacro %}

{% macro default__sha256_hex(text) %}encode(sha256(convert_to({{ text }}, 'UTF8')), 'hex'){% endmacro %}

{% macro duckdb__sha256_hex(text) %}sha256({{ text }}){% endmacro %}

{#- `Peer review` is category.peer-review. -#}
{% macro category_sourced_id(category) %}'category.' || replace(lower({{ category }}), ' ', '-'){% endmacro %}
