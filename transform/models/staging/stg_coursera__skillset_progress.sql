with current_rows as (
    {{ newest_rows(source("coursera", "skillset_progress"), ["user_email", "skillset_id"]) }}
),

renamed as (
    select
        cast(user_email as text) as email,
        cast(skillset_id as text) as skillset_id,
        cast(organization_id as text) as organization_id,

        cast(user_name as text) as full_name,
        program_ids,
        enterprise_user_skill_list as skills,
        skillset_target_skill_scores as target_scores,

        cast(progress_percentage as bigint) as progress_percent,

        {{ impossible(["latest_progress_made_at"]) }} as impossible_moments,

        {{ possible("latest_progress_made_at") }} as last_progress_at,

        cast(row_problems as text) as row_problems
    from current_rows
    cross join {{ ref("run_time") }}
)

select * from renamed
