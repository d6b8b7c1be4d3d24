with current_rows as (
    {{ newest_rows(source("coursera", "program_invitations"), ["id"]) }}
),

renamed as (
    select
        cast(id as text) as invitation_id,
        cast(program_id as text) as program_id,
        cast({{ learner_id() }} as text) as external_id,

        cast(full_name as text) as full_name,
        cast(email as text) as email,

        {{ impossible(["created_at"]) }} as impossible_moments,

        {{ possible("created_at") }} as invited_at,

        cast(row_problems as text) as row_problems
    from current_rows
    cross join {{ ref("run_time") }}
)

select * from renamed
