{%- set placeholder = name_placeholder() -%}
with described as (
    select
        facilitator_id,
        min({{ one_line("given_name") }}) as given_name,
        min({{ one_line("family_name") }}) as family_name,
        min({{ one_line("email") }}) as email,
        min({{ one_line("username") }}) as username
    from {{ ref("facilitators") }}
    group by facilitator_id
),

told_apart as (
    select *, {{ id_part("facilitator_id") }} as facilitator_id_part
    from described
),

-- The schools of the programs a facilitator is in; who has none is nobody's teacher.
schools as (
    select
        facilitators.facilitator_id,
        {{ list_of("program_schools.school_sourced_id") }} as school_sourced_ids,
        min(program_schools.school_sourced_id) as primary_school_sourced_id
    from {{ ref("facilitators") }} as facilitators
    inner join {{ ref("program_schools") }} as program_schools
        on facilitators.program_id is null or facilitators.program_id = program_schools.program_id
    group by facilitators.facilitator_id
)

select
    told_apart.facilitator_id,
    told_apart.facilitator_id_part,
    {{ sourced_id("user", ["'facilitator'", "told_apart.facilitator_id_part"]) }} as user_sourced_id,
    schools.school_sourced_ids,
    schools.primary_school_sourced_id,

    coalesce(told_apart.given_name, {{ placeholder }}) as given_name,
    coalesce(told_apart.family_name, {{ placeholder }}) as family_name,
    told_apart.email,
    told_apart.username
from told_apart
inner join schools on told_apart.facilitator_id = schools.facilitator_id
