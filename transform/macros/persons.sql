{#- The key of a person without an account: `external~` and the external id. The second person with that id has `external2~`, and so on. -#}
{% macro key_without_account(external_id, number="''") %}'external' || {{ number }} || '~' || {{ external_id }}{% endmacro %}

{#- Whether a key is that of a person without an account. Account ids never have a `~`. -#}
{% macro is_without_account(key) %}{{ key }} like 'external%~%'{% endmacro %}

{#- The id in a key: the external id in the key of a person without an account, else the account id, which is the key. -#}
{% macro id_of_key(key) %}regexp_replace({{ key }}, '^external[0-9]*~', ''){% endmacro %}

{#- The rows of person_keys as the last build left them, for models that dbt builds before person_keys. -#}
{% macro remembered_people() %}
  {%- set found = adapter.get_relation(this.database, this.schema, "person_keys") if execute else none -%}
  {%- if found is not none %}{{ found.include(database=false) }}
  {%- else -%}
  (select cast(null as text) as external_id, cast(null as text) as holder_key, cast(null as text) as email, cast(null as text) as full_name, cast(null as timestamptz) as joined_at where false)
  {%- endif -%}
{% endmacro %}

{#- Whether two rows with full_name and email are about different people: both rows have both columns, and both columns differ. -#}
{% macro is_other_person(one, other) -%}
  coalesce(
    {{ folded(one ~ ".email") }} <> {{ folded(other ~ ".email") }} and {{ spelled(one ~ ".full_name") }} <> {{ spelled(other ~ ".full_name") }},
    false
  )
{%- endmacro %}

{#- Whether, besides, the membership of the first is newer (joined_at), so that the first person has taken over the id of the other. -#}
{% macro has_taken_over(one, other) -%}
  (coalesce({{ one }}.joined_at > {{ other }}.joined_at, false) and {{ is_other_person(one, other) }})
{%- endmacro %}

{#- A name for comparisons: `Smith, John` is `john smith`; a blank name is null. -#}
{% macro spelled(name) %}regexp_replace(lower({{ whole_line(name) }}), '^([^,]+), ?([^,]+)$', '\2 \1'){% endmacro %}

{#- Whether a row of a report is about the present holder of its id. The query joins passed_ids as `passed`, which has a row if the id was passed on. -#}
{% macro is_of_present_holder(moment) %}(passed.external_id is null or coalesce({{ moment }} >= passed.since, false)){% endmacro %}

{#-
  The key of the person whom a row of a report is about: the present or the former holder of its id; null if the former one is not known. The query
  joins identities, and passed_ids as `passed`, by the external id.
-#}
{% macro person_of(moment) -%}
  case when {{ is_of_present_holder(moment) }} then identities.person_key else passed.former_person_key end
{%- endmacro %}
