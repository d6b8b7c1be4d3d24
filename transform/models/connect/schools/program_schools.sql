with mapping as (
    select * from {{ ref("school_mapping") }}
),

-- Ids are compared with all other ids, mapped or not, so that mapping one program never changes the id of another.
school_ids as (
    select program_id as school_id from {{ ref("stg_coursera__programs") }}
    union
    select school_id from mapping where school_id is not null
),

distinct_ids as (
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

    {{ sourced_id("school", ["distinct_ids.school_id_part"]) }} as school_sourced_id,
    mapped.school_name,
    -- If a school has several programs, the program whose id is the school's id counts, else the first one with a slug.
    first_value(mapped.program_slug) over (
        partition by mapped.school_id
        order by
            mapped.program_slug is null,
            mapped.program_id <> mapped.school_id,
            mapped.program_id nulls last
    ) as school_identifier
from mapped
inner join distinct_ids on mapped.school_id = distinct_ids.school_id
