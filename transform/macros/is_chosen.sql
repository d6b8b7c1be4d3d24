{#-
  Whether a row of chosen_items chooses an item (program_id, course_id, item_id, name): a blank program or course is any, and the item is its
  id or name, or a pattern in which `*` is any text. Upper and lower case are the same.

  Patterns are regular expressions, not LIKE: both databases match those without going back, so that no row of `*`s takes minutes.
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

{#- A pattern with `*` as a regular expression for texts in lower case, in the words that DuckDB and PostgreSQL share. -#}
{% macro item_pattern(pattern) -%}
  ('(?s)^' || regexp_replace(regexp_replace(lower({{ pattern }}), '([].\\+?^$(){}|[])', '\\\1', 'g'), '[*]+', '.*', 'g') || '$')
{%- endmacro %}
