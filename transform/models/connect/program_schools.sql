-- Every program is a school of its own; schools.sql already allows several programs to share one.
with programs as (
    select *, {{ id_part("program_id") }} as program_id_part
    from {{ ref("stg_coursera__programs") }}
)

select
    program_id,
    program_id_part,
    coalesce({{ one_line("program_name") }}, program_id) as program_name,

    {{ sourced_id("school", ["program_id_part"]) }} as school_sourced_id,
    coalesce({{ one_line("program_name") }}, program_id) as school_name,
    case
        when program_url ~ '^.*/programs/[^/?#]+.*$'
        then regexp_replace(program_url, '^.*/programs/([^/?#]+).*$', '\1')
    end as school_identifier
from programs
