with current_rows as (
    {{ newest_rows(source("coursera", "organizations"), ["id"]) }}
),

renamed as (
    select
        cast(id as text) as organization_id,

        cast(name as text) as organization_name,
        cast(slug as text) as organization_slug,

        cast(row_problems as text) as row_problems,
        {{ moment("_sdc_extracted_at") }} as extracted_at
    from current_rows
)

select * from renamed
