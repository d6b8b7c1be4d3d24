{{ config(alias="courses") }}

select
    course.course_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    school_years.school_year_sourced_id as "schoolYearSourcedId",
    coalesce({{ attribute("courses.title") }}, course.course_name) as "title",
    {{ attribute("courses.courseCode") }} as "courseCode",
    {{ attribute("courses.grades") }} as "grades",
    (select min(org_sourced_id) from {{ ref("schools") }} where org_type = 'district') as "orgSourcedId",
    {{ attribute("courses.subjects") }} as "subjects",
    {{ attribute("courses.subjectCodes") }} as "subjectCodes"
from {{ ref("courses") }} as course
left join {{ ref("school_years") }} as school_years on school_years.is_current
where course.course_id in (select course_id from {{ ref("classes") }})
