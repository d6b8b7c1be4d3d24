with current_rows as (
    {{ newest_rows(source("coursera", "users"), ["id"]) }}
),

renamed as (
    select
        cast(id as text) as coursera_user_id,
        cast({{ learner_id() }} as text) as external_id,

        cast(full_name as text) as full_name,
        cast(email as text) as email,
        membership_program_ids as member_program_ids,
        invitation_program_ids as invited_program_ids,

        cast(row_problems as text) as row_problems,
        {{ moment("_sdc_extracted_at") }} as extracted_at
    from current_rows
)

select * from renamed
