{%- set placeholder = name_placeholder() -%}
with members as (
    select person_key, bool_or(is_member) as is_member
    from {{ ref("memberships") }}
    group by person_key
),

described as (
    select coursera_user_id as person_key, external_id, full_name, email, 1 as source_rank, extracted_at as described_at
    from {{ ref("stg_coursera__users") }}
    union all
    select identities.person_key, listed.external_id, listed.full_name, listed.email, 2, listed.joined_at
    from {{ ref("stg_coursera__program_memberships") }} as listed
    inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
    union all
    select identities.person_key, listed.external_id, listed.full_name, listed.email, 3, listed.invited_at
    from {{ ref("stg_coursera__program_invitations") }} as listed
    inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
),

ranked as (
    select
        person_key,
        external_id,
        {{ whole_line("full_name") }} as full_name,
        {{ one_line("email") }} as email,
        row_number() over (
            partition by person_key
            order by source_rank, described_at desc nulls last, external_id
        ) as preference
    from described
),

known as (
    select
        *,
        {% if identity() == "coursera_id" %}person_key
        {%- elif identity() == "external_id" %}external_id
        {%- else %}
        -- Accounts that share an address are not merged: each is known by itself.
        coalesce(case when count(*) over (partition by lower(email)) = 1 then lower(email) end, person_key)
        {%- endif %} as identity_key
    from ranked
    where preference = 1
),

told_apart as (
    select *, {{ id_part("identity_key") }} as identity_key_part
    from known
),

named as (
    select
        members.person_key,
        members.is_member,
        told_apart.external_id,
        told_apart.full_name,
        told_apart.email,
        case when told_apart.full_name like '% %' then regexp_replace(told_apart.full_name, ' [^ ]*$', '') else told_apart.full_name end
            as given_name,
        case when told_apart.full_name like '% %' then regexp_replace(told_apart.full_name, '^.* ', '') end as family_name,
        told_apart.identity_key_part as identity_key,
        {{ sourced_id("user", ["told_apart.identity_key_part"]) }} as user_sourced_id
    from members
    inner join told_apart on members.person_key = told_apart.person_key
)

select
    person_key,
    identity_key,
    user_sourced_id,
    external_id,

    full_name,
    coalesce({{ cut("given_name") }}, {{ placeholder }}) as given_name,
    coalesce({{ cut("family_name") }}, {{ placeholder }}) as family_name,
    email,

    is_member
from named
