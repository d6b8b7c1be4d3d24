{{ config(alias="classes") }}

with terms as (
    select class_sourced_id, {{ list_of("term_sourced_id") }} as term_sourced_ids
    from {{ ref("class_terms") }}
    group by class_sourced_id
)

select
    classes.class_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    classes.class_title as "title",
    cast(null as text) as "grades",
    classes.course_sourced_id as "courseSourcedId",
    classes.class_code as "classCode",
    'scheduled' as "classType",
    cast(null as text) as "location",
    classes.school_sourced_id as "schoolSourcedId",
    terms.term_sourced_ids as "termSourcedIds",
    cast(null as text) as "subjects",
    cast(null as text) as "subjectCodes",
    cast(null as text) as "periods"
from {{ ref("classes") }} as classes
inner join terms on classes.class_sourced_id = terms.class_sourced_id
