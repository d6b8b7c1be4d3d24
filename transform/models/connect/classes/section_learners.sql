-- Whom two rows with different names of the same person put in two sections is in the first one: a learner is in a class once.
select
    listed.program_id,
    listed.course_id,
    person_names.person_key,
    min(listed.section_id) as section_id
from {{ ref("sections") }} as listed
inner join {{ ref("person_names") }} as person_names on lower(listed.learner) = person_names.name
group by listed.program_id, listed.course_id, person_names.person_key
