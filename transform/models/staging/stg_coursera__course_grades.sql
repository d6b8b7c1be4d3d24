with current_rows as (
    {{ newest_rows(source("coursera", "course_grades"), ["program_id", "id"],
        first=newest_first(["changed_at", "enrolled_at", "last_activity_at", "completed_at"])) }}
),

renamed as (
    select
        cast(program_id as text) as program_id,
        cast(id as text) as course_grade_id,
        cast(external_id as text) as external_id,
        cast(course_id as text) as course_id,

        cast(full_name as text) as full_name,
        cast(course_name as text) as course_name,
        risk_flags,

        cast(overall_course_grade as double precision) as course_grade_percent,
        cast(overall_progress as bigint) as progress_percent,
        cast(approx_total_learning_hrs as double precision) as learning_hours,

        cast(is_completed as boolean) as is_completed,

        {{ is_impossible("completed_at") }} as is_completion_impossible,
        {{ impossible(["enrolled_at", "last_activity_at", "completed_at"]) }} as impossible_moments,

        {{ possible("enrolled_at") }} as enrolled_at,
        {{ possible("last_activity_at") }} as last_activity_at,
        {{ possible("completed_at") }} as completed_at,
        {{ possible("changed_at") }} as changed_at,
        cast(row_problems as text) as row_problems,
        {{ moment("_sdc_extracted_at") }} as extracted_at
    from current_rows
)

select * from renamed
