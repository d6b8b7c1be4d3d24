-- Every program is a school of its own; schools.sql already allows several programs to share one.
select
    program_id,
    coalesce({{ one_line("program_name") }}, program_id) as program_name,

    {{ sourced_id("school", ["program_id"]) }} as school_sourced_id,
    coalesce({{ one_line("program_name") }}, program_id) as school_name,
    case
        when program_url ~ '^.*/programs/[^/?#]+.*$'
        then regexp_replace(program_url, '^.*/programs/([^/?#]+).*$', '\1')
    end as school_identifier
from {{ ref("stg_coursera__programs") }}
