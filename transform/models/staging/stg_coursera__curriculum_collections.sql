with current_rows as (
    {{ newest_rows(source("coursera", "curriculum_collections"), ["id"]) }}
),

renamed as (
    select
        cast(id as text) as collection_key,
        cast(program_id as text) as program_id,
        cast(collection_id as text) as collection_id,

        cast(title as text) as collection_name,
        cast(description as text) as collection_description,
        contents,

        cast(row_problems as text) as row_problems
    from current_rows
)

select * from renamed
