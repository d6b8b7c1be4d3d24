-- A school year lasts from its first term to its last.
select
    school_year_sourced_id,
    school_year,
    {% if setting("calendar") == "evergreen" %}min(title)
    {%- else %}{{ school_year_title("min(starts_on)", "max(ends_before)") }}
    {%- endif %} as title,

    bool_or(is_current) as is_current,

    min(starts_on) as starts_on,
    max(ends_before) as ends_before
from {{ ref("school_terms") }}
group by school_year_sourced_id, school_year
