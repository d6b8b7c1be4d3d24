{{ config(alias="enrollments") }}

select
    enrollments.enrollment_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    classes.class_sourced_id as "classSourcedId",
    classes.school_sourced_id as "schoolSourcedId",
    enrollments.user_sourced_id as "userSourcedId",
    'student' as "role",
    cast(null as text) as "primary",
    -- Dates must lie within the terms of the class.
    case
        when exists (
            select 1 from {{ ref("class_terms") }} as class_terms
            where
                class_terms.class_sourced_id = enrollments.class_sourced_id
                and enrollments.enrolled_on >= class_terms.starts_on
                and enrollments.enrolled_on < class_terms.ends_before
        ) then cast(enrollments.enrolled_on as text)
    end as "beginDate",
    cast(null as text) as "endDate"
from {{ ref("enrollments") }} as enrollments
inner join {{ ref("classes") }} as classes on enrollments.class_sourced_id = classes.class_sourced_id
union all
select
    enrollment_sourced_id,
    null,
    null,
    class_sourced_id,
    school_sourced_id,
    user_sourced_id,
    'teacher',
    case when is_primary then 'true' else 'false' end,
    null,
    null
from {{ ref("class_teachers") }}
