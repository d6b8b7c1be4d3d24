with current_rows as (
    {{ newest_rows(source("coursera", "course_materials"), ["program_id", "id"]) }}
),

renamed as (
    select
        cast(program_id as text) as program_id,
        cast(id as text) as course_id,

        modules,

        cast(row_problems as text) as row_problems
    from current_rows
)

select * from renamed
