-- Credentials belong to one organisation. If a warehouse holds two, nothing is published, because a program does not say to which one it belongs.
with district as (
    select
        {{ sourced_id("district", ["organization_id"]) }} as org_sourced_id,
        coalesce({{ one_line("organization_name") }}, organization_id) as org_name,
        'district' as org_type,
        {{ one_line("organization_slug") }} as org_identifier,
        cast(null as text) as parent_sourced_id
    from {{ ref("stg_coursera__organizations") }}
),

mapped_schools as (
    select
        school_sourced_id as org_sourced_id,
        min(school_name) as org_name,
        'school' as org_type,
        min(school_identifier) as org_identifier,
        (select min(org_sourced_id) from district) as parent_sourced_id
    from {{ ref("program_schools") }}
    group by school_sourced_id
)

select * from district
union all
select * from mapped_schools
