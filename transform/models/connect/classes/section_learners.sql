-- A learner is in a class once. If two rows with different names of one person name two sections, the first section by id counts.
select
    listed.program_id,
    listed.course_id,
    person_names.person_key,
    min(listed.section_id) as section_id
from {{ ref("sections") }} as listed
inner join {{ ref("person_names") }} as person_names on lower(listed.learner) = person_names.name
group by listed.program_id, listed.course_id, person_names.person_key
