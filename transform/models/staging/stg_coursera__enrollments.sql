with current_rows as (
    {{ newest_rows(source("coursera", "enrollments"), ["program_id", "id"],
        first="membership_state is not distinct from 'DELETED_MEMBER', "
        ~ newest_first(["changed_at", "enrolled_at", "last_activity_at", "completed_at", "deleted_at"])) }}
),

renamed as (
    select
        cast(program_id as text) as program_id,
        cast(id as text) as enrollment_id,
        cast({{ learner_id() }} as text) as external_id,
        cast(content_id as text) as content_id,
        cast(content_type as text) as content_type,
        cast(collection_id as text) as collection_id,
        cast(contract_id as text) as contract_id,

        cast(content_name as text) as content_name,
        cast(content_slug as text) as content_slug,
        cast(program_name as text) as program_name,
        cast(program_slug as text) as program_slug,
        cast(full_name as text) as full_name,
        cast(email as text) as email,
        cast(membership_state as text) as reported_membership_state,
        cast(course_type as text) as course_type,
        cast(collection_name as text) as collection_name,
        cast(contract_name as text) as contract_name,
        cast(content_certificate_url as text) as certificate_url,
        partner_names,
        learner_profile_standard_fields as learner_profile,

        cast(grade as double precision) as grade_0_to_1,
        cast(overall_progress as bigint) as progress_percent,
        cast(approx_total_course_hrs as double precision) as learning_hours,
        cast(num_courses_in_specialization as bigint) as courses_in_specialization,

        cast(is_completed as boolean) as is_completed,

        {{ is_impossible("completed_at") }} as is_completion_impossible,
        {{ impossible(["enrolled_at", "last_activity_at", "completed_at", "deleted_at", "updated_at"]) }} as impossible_moments,

        {{ possible("enrolled_at") }} as enrolled_at,
        {{ possible("last_activity_at") }} as last_activity_at,
        {{ possible("completed_at") }} as completed_at,
        {{ possible("deleted_at") }} as membership_deleted_at,
        {{ possible("updated_at") }} as report_refreshed_at,
        {{ possible("changed_at") }} as changed_at,

        cast(row_problems as text) as row_problems,
        {{ moment("_sdc_extracted_at") }} as extracted_at
    from current_rows
)

select * from renamed
