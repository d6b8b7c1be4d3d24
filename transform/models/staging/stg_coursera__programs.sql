with current_rows as (
    {{ newest_rows(source("coursera", "programs"), ["id"]) }}
),

renamed as (
    select
        cast(id as text) as program_id,

        cast(name as text) as program_name,
        cast(tagline as text) as program_tagline,
        cast(url as text) as program_url,

        cast(row_problems as text) as row_problems,
        {{ moment("_sdc_extracted_at") }} as extracted_at
    from current_rows
)

select * from renamed
