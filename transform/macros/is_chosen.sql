{#-
  Whether a row of chosen_items chooses an item (program_id, course_id, item_id, name): a blank program or course is any, and the item is its
  id or name, or a pattern in which `*` is any text. Upper and lower case are the same.
-#}
{% macro is_chosen(chosen, item) -%}
  {#- `!` before what LIKE would take for a pattern of its own -#}
  {%- set plain = "replace(replace(replace(lower(" ~ chosen ~ ".item), '!', '!!'), '%', '!%'), '_', '!_')" -%}
  {%- set pattern = "replace(" ~ plain ~ ", '*', '%')" -%}
  coalesce({{ chosen }}.program_id, {{ item }}.program_id) = {{ item }}.program_id
  and coalesce({{ chosen }}.course_id, {{ item }}.course_id) = {{ item }}.course_id
  and (lower({{ item }}.item_id) like {{ pattern }} escape '!' or lower({{ item }}.name) like {{ pattern }} escape '!')
{%- endmacro %}
