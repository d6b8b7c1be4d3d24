{#-
  A OneRoster sourcedId from a kind and the columns that make it unique: `kind.part.part` if all parts consist of letters, digits, `-` and `_` and
  the id has at most 100 characters, else `kind.h` and 40 hex digits of the SHA-256 of the parts in UTF-8. Parts must not be null, and they must
  never change for the same record.
-#}
{% macro sourced_id(kind, parts) %}
  {%- set text = parts | join(" || chr(31) || ") -%}
  {%- set digest = "sha256(" ~ text ~ ")" if target.type == "duckdb" else "encode(sha256(convert_to(" ~ text ~ ", 'UTF8')), 'hex')" -%}
  {%- set hashed = "'" ~ kind ~ ".h' || left(" ~ digest ~ ", 40)" -%}
  {%- if setting("id_style") == "hash" -%}
    {{ hashed }}
  {%- else -%}
    case
      when
        {#- One expression for all parts: a dot in a part would be one dot too many. #}
        {{ parts | join(" || '.' || ") }} ~ '^[A-Za-z0-9_-]+{{ "[.][A-Za-z0-9_-]+" * (parts | length - 1) }}$'
        and length('{{ kind }}.' || {{ parts | join(" || '.' || ") }}) <= 100
      then '{{ kind }}.' || {{ parts | join(" || '.' || ") }}
      else {{ hashed }}
    end
  {%- endif -%}
{% endmacro %}

{#- The sourcedId of a class, or of a record in a class: after the parts of the class comes that of its section, unless this is null. -#}
{% macro sectioned_id(kind, class_parts, section, more=[]) %}
    case
      when {{ section }} is null then {{ sourced_id(kind, class_parts + more) }}
      else {{ sourced_id(kind, class_parts + [section] + more) }}
    end
{%- endmacro %}

{#-
  An id as a part of sourcedIds. To PowerSchool, ids that differ only in letter case are the same id. Such ids get a `~`, with which sourced_id()
  makes a hash of each. The model must have one row for each id, or for each id within the columns of `within`.
-#}
{% macro id_part(id, within=[]) %}
  {{ id }} || case when count(*) over (partition by {{ (within + ["lower(" ~ id ~ ")"]) | join(", ") }}) > 1 then '~' else '' end
{% endmacro %}
