with mapping as (
    select * from {{ ref("school_mapping") }}
),

-- Told apart from every id there is, mapped or not, so that mapping one program changes no other's id.
school_ids as (
    select program_id as school_id from {{ ref("stg_coursera__programs") }}
    union
    select school_id from mapping where school_id is not null
),

told_apart as (
    select school_id, {{ id_part("school_id") }} as school_id_part
    from school_ids
),

programs as (
    select
        program_id,
        {{ id_part("program_id") }} as program_id_part,
        coalesce({{ one_line("program_name") }}, program_id) as program_name,
        case
            when program_url ~ '^.*/programs/[^/?#]+.*$'
            then regexp_replace(program_url, '^.*/programs/([^/?#]+).*$', '\1')
        end as program_slug
    from {{ ref("stg_coursera__programs") }}
),

mapped as (
    select
        programs.*,
        coalesce(mapping.school_id, programs.program_id) as school_id,
        coalesce({{ one_line("mapping.school_name") }}, programs.program_name) as school_name
    from programs
    left join mapping on programs.program_id = mapping.program_id
    where
        mapping.school_id is not null
        or (mapping.program_id is null and not exists (select 1 from mapping where school_id is not null))
)

select
    mapped.program_id,
    mapped.program_id_part,
    mapped.program_name,
    mapped.program_slug,

    {{ sourced_id("school", ["told_apart.school_id_part"]) }} as school_sourced_id,
    mapped.school_name,
    -- Of several programs in one school, the one whose id the school has tells, else the first.
    first_value(mapped.program_slug) over (
        partition by mapped.school_id
        order by
            mapped.program_slug is null,
            mapped.program_id <> mapped.school_id,
            mapped.program_id nulls last
    ) as school_identifier
from mapped
inner join told_apart on mapped.school_id = told_apart.school_id
