-- A learner whose external id has changed is reported under both ids. The newest row counts, also if it has no grade any more.
with reported as (
    select
        items.program_id,
        items.course_id,
        items.item_id,
        {{ person_of("items.changed_at") }} as person_key,
        items.item_grade_percent,
        items.changed_at,
        items.extracted_at,
        items.external_id
    from {{ ref("stg_coursera__item_grades") }} as items
    inner join {{ ref("identities") }} as identities on items.external_id = identities.external_id
    left join {{ ref("passed_ids") }} as passed on items.external_id = passed.external_id
    left join {{ ref("gone_items") }} as gone
        on items.program_id = gone.program_id and items.course_id = gone.course_id and items.item_id = gone.item_id
    where gone.item_id is null
),

ranked as (
    {{ ranked(
        "reported",
        ["program_id", "course_id", "item_id", "person_key"],
        "changed_at desc nulls last, extracted_at desc nulls last, external_id nulls last",
    ) }}
)

select
    program_id,
    course_id,
    item_id,
    person_key,
    {{ usable("item_grade_percent") }} as item_grade_percent,
    item_grade_percent as reported_percent,
    extracted_at
from ranked
where newest = 1 and person_key is not null and {{ usable("item_grade_percent") }} is not null
