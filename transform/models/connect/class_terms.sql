with current_terms as (
    select classes.class_sourced_id, classes.program_id, classes.course_id, school_years.school_year, school_years.term_sourced_id
    from {{ ref("classes") }} as classes
    inner join {{ ref("school_years") }} as school_years on school_years.is_current
),

active_terms as (
    select classes.class_sourced_id, classes.program_id, classes.course_id, school_years.school_year, school_years.term_sourced_id
    from {{ ref("enrollments") }} as enrollments
    inner join {{ ref("classes") }} as classes on enrollments.class_sourced_id = classes.class_sourced_id
    inner join {{ ref("school_years") }} as school_years
        on school_years.school_year between enrollments.first_school_year and enrollments.last_school_year
)

select * from current_terms
union
select * from active_terms
