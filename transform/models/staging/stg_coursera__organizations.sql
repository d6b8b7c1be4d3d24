-- If the list does not show an organisation any more, the programs are still those of the last one, until the list shows another.
with known_rows as (
    {{ newest_rows(source("coursera", "organizations"), ["id"], removed=true) }}
),

ranked as (
    select
        *,
        row_number() over (
            -- First those that are listed, then the one that was removed last.
            order by _sdc_deleted_at desc nulls first, _sdc_sequence desc nulls last, id nulls last
        ) as preference
    from known_rows
),

renamed as (
    select
        cast(id as text) as organization_id,

        cast(name as text) as organization_name,
        cast(slug as text) as organization_slug,

        _sdc_deleted_at is not null as is_removed,

        cast(row_problems as text) as row_problems,
        {{ moment("_sdc_extracted_at") }} as extracted_at
    from ranked
    where _sdc_deleted_at is null or preference = 1
)

select * from renamed
