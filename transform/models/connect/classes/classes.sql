with offered as (
    select program_id, content_id as course_id
    from {{ ref("stg_coursera__program_contents") }}
    where content_type = 'Course' and {{ setting("empty_classes") }}
    union
    -- These are also courses that left the program but still have learners, and courses of a specialization.
    select program_id, course_id
    from {{ ref("enrollments") }}
),

split as (
    select program_id, course_id, section_id, section_id_part, section_name
    from {{ ref("class_sections") }}
    union all
    -- If a class has sections, the class without a section is for learners who are in none.
    select program_id, course_id, null, null, null
    from offered
    where
        not exists (
            select 1 from {{ ref("class_sections") }} as sections
            where sections.program_id = offered.program_id and sections.course_id = offered.course_id
        )
        or exists (
            select 1 from {{ ref("enrollments") }} as enrollments
            where
                enrollments.program_id = offered.program_id
                and enrollments.course_id = offered.course_id
                and enrollments.section_id is null
        )
)

select
    offered.program_id,
    offered.course_id,
    split.section_id,
    program_schools.program_id_part,
    courses.course_id_part,
    split.section_id_part,
    {{ sectioned_id("class", ["program_schools.program_id_part", "courses.course_id_part"], "split.section_id_part") }} as class_sourced_id,
    courses.course_sourced_id,
    program_schools.school_sourced_id,

    {{ cut("courses.course_name || coalesce(' - ' || split.section_name, '')") }} as class_title,
    {{ cut("courses.course_name || ' (' || program_schools.program_name || ')' || coalesce(' - ' || split.section_name, '')") }}
        as class_title_with_program,
    split.section_name,
    courses.course_slug as class_code
from offered
inner join split on offered.program_id = split.program_id and offered.course_id = split.course_id
inner join {{ ref("courses") }} as courses on offered.course_id = courses.course_id
inner join {{ ref("program_schools") }} as program_schools on offered.program_id = program_schools.program_id
