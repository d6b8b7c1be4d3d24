-- Constant text and a count per reason, so that a run report can show what the files do not hold.
select 'enrollments' as what, 'content other than a course: it has no gradebook' as reason, count(*) as how_many
from {{ ref("stg_coursera__enrollments") }}
where content_type <> 'Course'
union all
select 'enrollments', 'neither external id nor e-mail: nobody can tell whose it is', count(*)
from {{ ref("stg_coursera__enrollments") }}
where external_id is null
union all
select 'program_memberships', 'neither external id nor e-mail: nobody can tell whose it is', count(*)
from {{ ref("stg_coursera__program_memberships") }}
where external_id is null
union all
select 'usernames', 'several people would have it, upper and lower case aside: each has the sourcedId instead', count(*)
from {{ ref("accounts") }}
where is_username_shared
union all
select 'program_contents', 'content other than a course: it makes no class', count(*)
from {{ ref("stg_coursera__program_contents") }}
where content_type <> 'Course'
union all
select 'enrollments', 'the learner is not a member of the program now', count(*)
from {{ ref("stg_coursera__enrollments") }} as reported
inner join {{ ref("identities") }} as identities on reported.external_id = identities.external_id
left join {{ ref("memberships") }} as memberships
    on reported.program_id = memberships.program_id and identities.person_key = memberships.person_key and memberships.is_member
where
    reported.content_type = 'Course'
    and memberships.person_key is null
    and reported.program_id in (select program_id from {{ ref("program_schools") }})
    and identities.person_key not in (select person_key from {{ ref("excluded") }})
union all
select 'grades', 'completed, but Coursera does not show the grade yet', count(*)
from {{ ref("enrollments") }}
where is_completed and (grade_0_to_1 is null or completed_on is null)
union all
select 'classes', 'course without a name and without learners', count(*)
from {{ ref("stg_coursera__program_contents") }} as offered
left join {{ ref("courses") }} as courses on offered.content_id = courses.course_id
where offered.content_type = 'Course' and courses.course_id is null
union all
select 'programs', 'not in school_mapping.csv, so neither its members nor its classes are there', count(*)
from {{ ref("stg_coursera__programs") }}
where program_id not in (select program_id from {{ ref("program_schools") }})
union all
select 'users', 'excluded by excluded_people.csv', count(*)
from {{ ref("excluded") }}
