{#-
  Whether a row of chosen_items chooses an item, which has program_id, course_id, item_id and name. A blank program or course means any. The item
  is an id, a name, or a pattern in which `*` is any text. Letter case does not matter.

  Patterns are matched as regular expressions and not with LIKE, because both databases match these in linear time, also if they have many `*`.
-#}
{% macro is_chosen(chosen, item) -%}
  coalesce({{ chosen }}.program_id, {{ item }}.program_id) = {{ item }}.program_id
  and coalesce({{ chosen }}.course_id, {{ item }}.course_id) = {{ item }}.course_id
  and case
    when {{ chosen }}.item like '%*%'
    then lower({{ item }}.item_id) ~ {{ item_pattern(chosen ~ ".item") }} or lower({{ item }}.name) ~ {{ item_pattern(chosen ~ ".item") }}
    else lower({{ chosen }}.item) in (lower({{ item }}.item_id), lower({{ item }}.name))
  end
{%- endmacro %}

{#- A pattern with `*` as a regular expression for texts in lower case, in syntax that DuckDB and PostgreSQL share. -#}
{% macro item_pattern(pattern) -%}
  ('(?s)^' || regexp_replace(regexp_replace(lower({{ pattern }}), '([].\\+?^$(){}|[])', '\\\1', 'g'), '[*]+', '.*', 'g') || '$')
{%- endmacro %}
