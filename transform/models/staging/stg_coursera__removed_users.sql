with known_rows as (
    {{ newest_rows(source("coursera", "users"), ["id"], removed=true) }}
)

select
    cast(id as text) as coursera_user_id,
    cast({{ learner_id() }} as text) as external_id,

    cast(full_name as text) as full_name,
    cast(email as text) as email
from known_rows
where _sdc_deleted_at is not null
