with offered as (
    select program_id, content_id as course_id
    from {{ ref("stg_coursera__program_contents") }}
    where content_type = 'Course' and '{{ is_on("empty_classes") }}' = 'true'
    union
    -- also courses that have left the program but still have learners, and courses reached through a specialization
    select program_id, course_id
    from {{ ref("enrollments") }}
)

select
    offered.program_id,
    offered.course_id,
    program_schools.program_id_part,
    courses.course_id_part,
    {{ sourced_id("class", ["program_schools.program_id_part", "courses.course_id_part"]) }} as class_sourced_id,
    courses.course_sourced_id,
    program_schools.school_sourced_id,

    {% if class_title() == "course" %}courses.course_name
    {%- else %}{{ one_line("courses.course_name || ' (' || program_schools.program_name || ')'") }}
    {%- endif %} as class_title,
    courses.course_slug as class_code
from offered
inner join {{ ref("courses") }} as courses on offered.course_id = courses.course_id
inner join {{ ref("program_schools") }} as program_schools on offered.program_id = program_schools.program_id
