{%- set placeholder = literal(setting("name_placeholder")) -%}
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

distinct_ids as (
    select *, {{ id_part("facilitator_id") }} as facilitator_id_part
    from described
),

-- The schools of each facilitator's programs. A facilitator without a school is not a teacher.
schools as (
    select
        facilitators.facilitator_id,
        string_agg(distinct program_schools.school_sourced_id, ',' order by program_schools.school_sourced_id) as school_sourced_ids,
        min(program_schools.school_sourced_id) as primary_school_sourced_id
    from {{ ref("facilitators") }} as facilitators
    inner join {{ ref("program_schools") }} as program_schools
        on facilitators.program_id is null or facilitators.program_id = program_schools.program_id
    group by facilitators.facilitator_id
)

select
    distinct_ids.facilitator_id,
    distinct_ids.facilitator_id_part,
    {{ sourced_id("user", ["'facilitator'", "distinct_ids.facilitator_id_part"]) }} as user_sourced_id,
    schools.school_sourced_ids,
    schools.primary_school_sourced_id,

    coalesce(distinct_ids.given_name, {{ placeholder }}) as given_name,
    coalesce(distinct_ids.family_name, {{ placeholder }}) as family_name,
    distinct_ids.email,
    distinct_ids.username
from distinct_ids
inner join schools on distinct_ids.facilitator_id = schools.facilitator_id
