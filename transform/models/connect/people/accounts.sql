with school_members as (
    select person_key, school_sourced_id, min(joined_at) as joined_at
    from {{ ref("memberships") }}
    group by person_key, school_sourced_id
),

ranked as (
    select
        *,
        row_number() over (partition by person_key order by joined_at nulls last, school_sourced_id nulls last) as preference
    from school_members
),

schools as (
    select
        person_key,
        string_agg(distinct school_sourced_id, ',' order by school_sourced_id) as school_sourced_ids,
        min(case when preference = 1 then school_sourced_id end) as primary_school_sourced_id
    from ranked
    group by person_key
),

learner as (
    select
        people.user_sourced_id,
        people.person_key,
        'student' as role,
        schools.school_sourced_ids,
        schools.primary_school_sourced_id,
        people.coursera_user_id,
        {{ whole_line("people.external_id") }} as external_id,
        -- A list of {type:id} cannot hold an id with a comma or a brace, and without these characters it would be another id.
        case
            when translate(people.external_id, ',{}', '') = people.external_id
            then '{Coursera:' || {{ whole_line("people.external_id") }} || '}'
        end as user_ids,
        people.full_name,
        people.given_name,
        people.family_name,
        people.email,
        coalesce(lower(people.email), {{ one_line("people.external_id") }}) as email_or_external_id,
        cast(null as text) as own_username,
        people.is_member as is_enabled
    from {{ ref("people") }} as people
    inner join schools on people.person_key = schools.person_key
    union all
    select
        user_sourced_id,
        null,
        'teacher',
        school_sourced_ids,
        primary_school_sourced_id,
        null,
        facilitator_id,
        null,
        {{ cut("given_name || ' ' || family_name") }},
        given_name,
        family_name,
        email,
        coalesce(lower(email), {{ one_line("facilitator_id") }}),
        username,
        true
    from {{ ref("teachers") }}
),

named as (
    select learner.*, coalesce(own_username, {{ attribute("users.username") }}, user_sourced_id) as wanted_username
    from learner
),

counted as (
    select
        *,
        count(*) over (partition by lower(wanted_username)) as users_of_name,
        count(*) filter (where role = 'student') over (partition by lower(wanted_username)) as learners_of_name
    from named
),

shared as (
    -- If several people would have one username, nobody knows which of them the reader means by it, so none of them gets it.
    -- But a line in facilitators.csv does not take the username from a learner.
    select
        *,
        case when role = 'student' then learners_of_name else users_of_name end > 1
            -- The sourcedId that replaces a shared username must not be the username of another person.
            or (
                lower(wanted_username) <> lower(user_sourced_id)
                and lower(wanted_username) in (select lower(user_sourced_id) from named)
            )
            as is_username_shared
    from counted
)

select
    user_sourced_id,
    person_key,
    role,
    school_sourced_ids,
    primary_school_sourced_id,
    coursera_user_id,
    external_id,
    user_ids,

    full_name,
    given_name,
    family_name,
    email,
    email_or_external_id,
    case when is_username_shared then user_sourced_id else wanted_username end as username,

    is_username_shared,
    is_enabled
from shared
