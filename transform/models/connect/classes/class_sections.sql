with listed as (
    select program_id, course_id, section_id, min({{ one_line("section_name") }}) as section_name
    from {{ ref("sections") }}
    group by program_id, course_id, section_id
)

select
    program_id,
    course_id,
    section_id,
    {{ id_part("section_id", within=["program_id", "course_id"]) }} as section_id_part,
    coalesce(section_name, section_id) as section_name
from listed
