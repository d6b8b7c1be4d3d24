with current_terms as (
    select classes.class_sourced_id, school_terms.term_sourced_id, school_terms.starts_on, school_terms.ends_before
    from {{ ref("classes") }} as classes
    inner join {{ ref("school_terms") }} as school_terms on school_terms.is_current
),

active_terms as (
    select classes.class_sourced_id, school_terms.term_sourced_id, school_terms.starts_on, school_terms.ends_before
    from {{ ref("enrollments") }} as enrollments
    inner join {{ ref("classes") }} as classes on enrollments.class_sourced_id = classes.class_sourced_id
    inner join {{ ref("school_terms") }} as school_terms
        on school_terms.starts_on <= enrollments.last_active_on and enrollments.enrolled_on < school_terms.ends_before
)

select * from current_terms
union
select * from active_terms
