with reported as (
    select external_id from {{ ref("stg_coursera__users") }}
    union
    select external_id from {{ ref("stg_coursera__program_memberships") }}
    union
    select external_id from {{ ref("stg_coursera__program_invitations") }}
    union
    select external_id from {{ ref("stg_coursera__enrollments") }}
    union
    select external_id from {{ ref("stg_coursera__course_grades") }}
    union
    select external_id from {{ ref("stg_coursera__item_grades") }}
),

listed as (
    select external_id, coursera_user_id
    from {{ ref("stg_coursera__user_aliases") }}
    where not is_removed
)

select
    reported.external_id,
    -- `~` cannot be part of a readable id, so such a person always gets the hash.
    coalesce(listed.coursera_user_id, remembered.coursera_user_id, 'external~' || reported.external_id) as person_key,
    case
        when listed.coursera_user_id is not null then 'users_list'
        when remembered.coursera_user_id is not null then 'remembered'
        else 'external_id'
    end as resolved_by
from reported
left join listed on reported.external_id = listed.external_id
left join {{ ref("person_aliases") }} as remembered on reported.external_id = remembered.external_id
where reported.external_id is not null
