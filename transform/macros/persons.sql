{#- The key of somebody without an account, by the external id; the second one who has that id is `external2~`, and so on. -#}
{% macro key_without_account(external_id, number="") %}'external' || {% if number %}{{ number }} || {% endif %}'~' || {{ external_id }}{% endmacro %}

{#- Account ids have no `~`. -#}
{% macro is_without_account(key) %}{{ key }} like 'external%~%'{% endmacro %}

{#- The id that such a key was made of; of any other key, the key. -#}
{% macro id_of_key(key) %}regexp_replace({{ key }}, '^external[0-9]*~', ''){% endmacro %}

{#- What the last build left in person_keys, which is made later than those who ask. -#}
{% macro remembered_people() %}
  {%- set found = adapter.get_relation(this.database, this.schema, "person_keys") if execute else none -%}
  {%- if found is not none %}{{ found.include(database=false) }}
  {%- else -%}
  (select cast(null as text) as external_id, cast(null as text) as holder_key, cast(null as text) as email, cast(null as text) as full_name, cast(null as timestamptz) as joined_at where false)
  {%- endif -%}
{% endmacro %}

{#- Whether two descriptions (full_name, email) are of different people: both know both, and both differ. -#}
{% macro is_other_person(one, other) -%}
  coalesce(
    {{ folded(one ~ ".email") }} <> {{ folded(other ~ ".email") }} and {{ spelled(one ~ ".full_name") }} <> {{ spelled(other ~ ".full_name") }},
    false
  )
{%- endmacro %}

{#- The same of two descriptions with joined_at, where the membership of the first is newer. -#}
{% macro has_taken_over(one, other) -%}
  (coalesce({{ one }}.joined_at > {{ other }}.joined_at, false) and {{ is_other_person(one, other) }})
{%- endmacro %}

{#- A name to be compared: `Smith, John` is john smith. Blank is null. -#}
{% macro spelled(name) %}regexp_replace(lower({{ whole_line(name) }}), '^([^,]+), ?([^,]+)$', '\2 \1'){% endmacro %}

{#- Whether a row that reports an id (`passed` is its row of passed_ids, if there is one) is about the one who has the id now. -#}
{% macro is_of_present_holder(moment, passed="passed") %}({{ passed }}.external_id is null or coalesce({{ moment }} >= {{ passed }}.since, false)){% endmacro %}

{#- Who a row that reports an id is about: who has the id now, or who had it before; null where nobody knows who that was. -#}
{% macro person_of(moment, identities="identities", passed="passed") -%}
  case when {{ is_of_present_holder(moment, passed) }} then {{ identities }}.person_key else {{ passed }}.former_person_key end
{%- endmacro %}
