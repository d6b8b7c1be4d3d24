with current_rows as (
    {{ newest_rows(source("coursera", "program_contents"), ["program_id", "content_type", "content_id"]) }}
),

renamed as (
    select
        cast(program_id as text) as program_id,
        cast(content_type as text) as content_type,
        cast(content_id as text) as content_id,

        cast(row_problems as text) as row_problems
    from current_rows
)

select * from renamed
