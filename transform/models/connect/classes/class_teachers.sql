with teaching as (
    select distinct classes.class_sourced_id, facilitators.facilitator_id
    from {{ ref("facilitators") }} as facilitators
    inner join {{ ref("classes") }} as classes
        on (facilitators.program_id is null or facilitators.program_id = classes.program_id)
        and (facilitators.course_id is null or facilitators.course_id = classes.course_id)
)

select
    teaching.class_sourced_id,
    classes.school_sourced_id,
    teaching.facilitator_id,
    teachers.user_sourced_id,
    {{ sectioned_id(
        "enrollment",
        ["classes.program_id_part", "classes.course_id_part", "'facilitator'", "teachers.facilitator_id_part"],
        "classes.section_id_part",
    ) }} as enrollment_sourced_id,

    -- OneRoster allows one primary teacher of a class.
    row_number() over (partition by teaching.class_sourced_id order by teaching.facilitator_id nulls last) = 1 as is_primary
from teaching
inner join {{ ref("classes") }} as classes on teaching.class_sourced_id = classes.class_sourced_id
inner join {{ ref("teachers") }} as teachers on teaching.facilitator_id = teachers.facilitator_id
