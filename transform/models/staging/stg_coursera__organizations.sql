with current_rows as (
    {{ newest_rows(source("coursera", "organizations"), ["id"]) }}
),

renamed as (
    select
        cast(id as text) as organization_id,

        cast(name as text) as organization_name,
        cast(slug as text) as organization_slug,

        {{ moment("_sdc_extracted_at") }} as extracted_at
    from current_rows
)

select * from renamed
