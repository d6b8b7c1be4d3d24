-- Removed accounts are included, because a report may still have rows of a learner who has left.
with known_rows as (
    {{ newest_rows(source("coursera", "users"), ["id"], removed=true) }}
),

ranked as (
    select
        {{ learner_id() }} as external_id,
        id as coursera_user_id,

        _sdc_deleted_at is not null as is_removed,

        {{ moment("_sdc_extracted_at") }} as seen_at,

        row_number() over (
            partition by {{ learner_id() }}
            order by _sdc_deleted_at is not null, _sdc_extracted_at desc nulls last, id nulls last
        ) as preference
    from known_rows
    where {{ learner_id() }} is not null
)

select external_id, coursera_user_id, is_removed, seen_at
from ranked
where preference = 1
