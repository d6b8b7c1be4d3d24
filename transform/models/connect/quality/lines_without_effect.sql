{#-
  Only the lines of chosen_items.csv need all rows of all gradebooks, so these are read only if the file has a line. `connect mapping check` says
  for each of these lines what is nearest (setup/lines_without_effect.py).
-#}
{%- set chosen = ref("chosen_items") -%}
{%- set item_grades = ref("stg_coursera__item_grades") -%}
{%- set are_chosen = execute and load_relation(chosen) is not none and run_query("select 1 from " ~ chosen ~ " limit 1").rows | length > 0 -%}
-- depends_on: {{ ref("terms") }}
-- depends_on: {{ ref("freshness") }}
with {% if are_chosen %}known_items as (
    select distinct program_id, course_id, item_id, item_name
    from {{ item_grades }}
),

items as (
    select program_id, course_id, item_id, {{ one_line("item_name") }} as name
    from known_items
),

choosing as (
    select distinct chosen.line_number
    from items
    inner join {{ chosen }} as chosen on {{ is_chosen("chosen", "items") }}
),

chose_nothing as (
    select line_number, program_id
    from {{ chosen }}
    where line_number not in (select line_number from choosing) and exists (select 1 from items)
),

{% endif %}excluded_nobody as (
    select line_number
    from {{ ref("excluded_people") }}
    where
        lower(learner) not in (select name from {{ ref("person_names") }})
        and exists (select 1 from {{ ref("person_names") }})
),

mapped_nothing as (
    select mapped.line_number, mapped.program_id
    from {{ ref("school_mapping") }} as mapped
    left join {{ ref("stg_coursera__programs") }} as programs on mapped.program_id = programs.program_id
    where
        programs.program_id is null
        and mapped.school_id is not null
        and exists (select 1 from {{ ref("stg_coursera__programs") }})
),

taught_nothing as (
    select line_number, program_id
    from {{ ref("facilitators") }} as listed
    where
        not exists (
            select 1 from {{ ref("classes") }} as classes
            where
                coalesce(listed.program_id, classes.program_id) = classes.program_id
                and coalesce(listed.course_id, classes.course_id) = classes.course_id
        )
        and exists (select 1 from {{ ref("classes") }})
),

seated_in_nothing as (
    select line_number, program_id
    from {{ ref("sections") }} as listed
    where
        not exists (
            select 1 from {{ ref("classes") }} as classes
            where listed.program_id = classes.program_id and listed.course_id = classes.course_id
        )
        and exists (select 1 from {{ ref("classes") }})
),

seated_nobody as (
    select line_number, program_id
    from {{ ref("sections") }}
    where
        lower(learner) not in (select name from {{ ref("person_names") }})
        and exists (select 1 from {{ ref("person_names") }})
        and line_number not in (select line_number from seated_in_nothing)
){% if setting("calendar") == "terms" %},

far_ahead as (
    select line_number
    from {{ ref("terms") }}
    cross join {{ ref("freshness") }} as freshness
    where cast(starts_on as date) >= freshness.sessions_begin_before
){% endif %}

select 'excluded_people.csv' as file, line_number, cast(null as text) as program_id, 'learner' as unmatched from excluded_nobody
union all
select 'school_mapping.csv', line_number, program_id, 'program' from mapped_nothing
union all
select 'facilitators.csv', line_number, program_id, 'class' from taught_nothing
union all
select 'sections.csv', line_number, program_id, 'class' from seated_in_nothing
union all
select 'sections.csv', line_number, program_id, 'learner' from seated_nobody
{%- if are_chosen %}
union all
select 'chosen_items.csv', line_number, program_id, 'item' from chose_nothing
{%- endif %}
{%- if setting("calendar") == "terms" %}
union all
select 'terms.csv', line_number, null, 'session' from far_ahead
{%- endif %}
