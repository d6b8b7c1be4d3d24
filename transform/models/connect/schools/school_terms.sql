-- depends_on: {{ ref("terms") }}
-- depends_on: {{ ref("enrollments") }}
{% if setting("calendar") == "terms" -%}
with mapped as (
    select
        {{ id_part("term_id") }} as term_id_part,
        title,
        cast(school_year as integer) as school_year,
        cast(starts_on as date) as starts_on,
        cast(ends_before as date) as ends_before
    from {{ ref("terms") }}
    cross join {{ ref("freshness") }} as freshness
    where coalesce(cast(starts_on as date) < freshness.sessions_begin_before, true)
),

{% elif setting("calendar") == "evergreen" -%}
-- The end is a day early. So the term ends in the school year 2099, whether a reader takes the end date as the last day or as the day after it.
with mapped as (
    select
        'evergreen' as term_id_part,
        '1970-2099' as title,
        2099 as school_year,
        cast('1970-01-01' as date) as starts_on,
        cast('2099-12-31' as date) as ends_before
),

{% else -%}
with recursive bounds as (
    select
        cast({{ school_year_of("today") }} as integer) as last_year,
        cast((select {{ school_year_of("min(enrolled_on)") }} from {{ ref("enrollments") }}) as integer) as first_enrolled_year
    from {{ ref("freshness") }}
    where today is not null
),

years as (
    select
        last_year,
        least(last_year, greatest({{ setting("first_school_year") }}, coalesce(first_enrolled_year, last_year))) as school_year
    from bounds
    union all
    select last_year, school_year + 1
    from years
    where school_year < last_year
),

mapped as (
    select
        cast(school_year as text) as term_id_part,
        {{ school_year_title(school_year_starts_on("school_year"), school_year_starts_on("school_year + 1")) }} as title,
        school_year,
        {{ school_year_starts_on("school_year") }} as starts_on,
        {{ school_year_starts_on("school_year + 1") }} as ends_before
    from years
),

{% endif -%}
ranked as (
    select
        mapped.*,
        row_number() over (
            order by
                -- Today's term; of several, the one that began last. Between two terms it is the one that began last, before all terms the first.
                case when freshness.today >= starts_on and freshness.today < ends_before then 1 when freshness.today >= starts_on then 2 else 3 end,
                case when freshness.today >= starts_on then freshness.today - starts_on else starts_on - freshness.today end,
                ends_before nulls last,
                term_id_part nulls last
        ) as nearness
    from mapped
    cross join {{ ref("freshness") }} as freshness
)

select
    {{ sourced_id("term", ["term_id_part"]) }} as term_sourced_id,
    {{ sourced_id("gradingPeriod", ["term_id_part"]) }} as grading_period_sourced_id,
    {{ sourced_id("schoolYear", [("'evergreen'" if setting("calendar") == "evergreen" else "cast(school_year as text)")]) }}
        as school_year_sourced_id,

    {{ one_line("title") }} as title,

    school_year,

    nearness = 1 as is_current,

    starts_on,
    ends_before
from ranked
