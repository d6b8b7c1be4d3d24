{{ config(alias="courses") }}

select
    courses.course_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    school_years.school_year_sourced_id as "schoolYearSourcedId",
    courses.course_name as "title",
    courses.course_slug as "courseCode",
    cast(null as text) as "grades",
    (select org_sourced_id from {{ ref("schools") }} where org_type = 'district') as "orgSourcedId",
    cast(null as text) as "subjects",
    cast(null as text) as "subjectCodes"
from {{ ref("courses") }} as courses
left join {{ ref("school_years") }} as school_years on school_years.is_current
where courses.course_id in (select course_id from {{ ref("classes") }})
