with current_rows as (
    {{ newest_rows(source("coursera", "program_memberships"), ["id"]) }}
),

renamed as (
    select
        cast(id as text) as membership_id,
        cast(program_id as text) as program_id,
        cast({{ learner_id() }} as text) as external_id,

        cast(full_name as text) as full_name,
        cast(email as text) as email,

        {{ impossible(["joined_at"]) }} as impossible_moments,

        {{ possible("joined_at") }} as joined_at,

        cast(row_problems as text) as row_problems
    from current_rows
    cross join {{ ref("run_time") }}
)

select * from renamed
