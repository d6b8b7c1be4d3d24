select distinct person_names.person_key, person_names.person_id
from {{ ref("excluded_people") }} as listed
inner join {{ ref("person_names") }} as person_names on lower(listed.learner) = person_names.name
