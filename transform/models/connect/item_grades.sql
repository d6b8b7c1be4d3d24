-- A learner whose external id has changed is reported under both: the newest row tells, also that there is no grade any more.
with ranked as (
    select
        items.program_id,
        items.course_id,
        items.item_id,
        identities.person_key,
        items.item_grade_percent,
        items.extracted_at,
        row_number() over (
            partition by items.program_id, items.course_id, items.item_id, identities.person_key
            order by items.changed_at desc nulls last, items.extracted_at desc, items.external_id
        ) as newest
    from {{ ref("stg_coursera__item_grades") }} as items
    inner join {{ ref("identities") }} as identities on items.external_id = identities.external_id
)

select program_id, course_id, item_id, person_key, item_grade_percent, extracted_at
from ranked
where newest = 1 and item_grade_percent is not null
