{{ config(alias="classes") }}

with terms as (
    select class_sourced_id, string_agg(distinct term_sourced_id, ',' order by term_sourced_id) as term_sourced_ids
    from {{ ref("class_terms") }}
    group by class_sourced_id
)

select
    class.class_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    coalesce({{ attribute("classes.title") }}, class.class_title) as "title",
    {{ attribute("classes.grades") }} as "grades",
    class.course_sourced_id as "courseSourcedId",
    {{ attribute("classes.classCode") }} as "classCode",
    'scheduled' as "classType",
    {{ attribute("classes.location") }} as "location",
    class.school_sourced_id as "schoolSourcedId",
    terms.term_sourced_ids as "termSourcedIds",
    {{ attribute("classes.subjects") }} as "subjects",
    {{ attribute("classes.subjectCodes") }} as "subjectCodes",
    {{ attribute("classes.periods") }} as "periods"
from {{ ref("classes") }} as class
inner join terms on class.class_sourced_id = terms.class_sourced_id
inner join {{ ref("courses") }} as course on class.course_id = course.course_id
inner join {{ ref("program_schools") }} as program on class.program_id = program.program_id
inner join {{ ref("schools") }} as school on class.school_sourced_id = school.org_sourced_id
