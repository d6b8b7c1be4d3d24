with current_rows as (
    {{ newest_rows(source("coursera", "skillsets"), ["skillset_id"]) }}
),

renamed as (
    select
        cast(skillset_id as text) as skillset_id,

        cast(skillset_name as text) as skillset_name,
        cast(skillset_description as text) as skillset_description,
        programs,
        skills,

        cast(row_problems as text) as row_problems
    from current_rows
)

select * from renamed
