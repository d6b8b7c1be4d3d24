{%- set placeholder = literal(setting("name_placeholder")) -%}
{#- Regular expressions, in lower case, for words that follow a family name and belong to it, with or without a full stop. -#}
{%- set suffix = "jr|sr|junior|senior|ii|iii|iv|vi|vii|viii|dr|phd|ph[.]d|edd|ed[.]d|esq" -%}
{#- Degrees that are also given names: they are no name where at least two words come before the comma. -#}
{%- set degree = "md|m[.]d|dds|dvm|cpa|rn|jd|mba|mph|msc|bsc|llm" -%}
with members as (
    select person_key, bool_or(is_member) as is_member
    from {{ ref("memberships") }}
    group by person_key
),

described as (
    select
        coalesce(keys.person_key, users.coursera_user_id) as person_key,
        users.coursera_user_id,
        users.external_id,
        users.full_name,
        users.email,
        1 as source_rank,
        users.extracted_at as described_at
    from {{ ref("stg_coursera__users") }} as users
    left join (
        select holder_key, min(person_key) as person_key from {{ ref("person_keys") }} group by holder_key
    ) as keys on users.coursera_user_id = keys.holder_key
    union all
    select identities.person_key, identities.coursera_user_id, listed.external_id, listed.full_name, listed.email, 2, listed.joined_at
    from {{ ref("stg_coursera__program_memberships") }} as listed
    inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
    union all
    select identities.person_key, identities.coursera_user_id, listed.external_id, listed.full_name, listed.email, 3, listed.invited_at
    from {{ ref("stg_coursera__program_invitations") }} as listed
    inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
),

ranked as (
    select
        person_key,
        coursera_user_id,
        -- An account may have no external id in the list of users while a membership still has one.
        coalesce(external_id, max(external_id) over (partition by person_key)) as external_id,
        {{ whole_line("full_name") }} as full_name,
        {{ one_line("email") }} as email,
        row_number() over (
            partition by person_key
            order by source_rank, described_at desc nulls last, external_id nulls last
        ) as preference
    from described
),

known as (
    select
        *,
        {% if setting("identity") == "coursera_id" %}person_key
        {%- elif setting("identity") == "external_id" %}
        -- A member who was published without an account keeps the spelling of the external id at that time.
        case
            when {{ is_without_account("person_key") }} and {{ folded(id_of_key("person_key")) }} = {{ folded("external_id") }} then {{ id_of_key("person_key") }}
            else external_id
        end
        {%- else %}
        -- Accounts that share an address stay separate people: each is identified by its own key.
        coalesce(case when count(*) over (partition by lower(email)) = 1 then lower(email) end, person_key)
        {%- endif %} as identity_key
    from ranked
    where preference = 1
),

distinct_keys as (
    select *, {{ id_part("identity_key") }} as identity_key_part
    from known
),

of_members as (
    select
        members.person_key,
        members.is_member,
        distinct_keys.coursera_user_id,
        distinct_keys.external_id,
        distinct_keys.full_name,
        distinct_keys.email,
        distinct_keys.identity_key_part as identity_key,
        {{ sourced_id("user", ["distinct_keys.identity_key_part"]) }} as user_sourced_id,
        -- Commas at both ends are removed, and each one within becomes `, `.
        regexp_replace(regexp_replace(replace(distinct_keys.full_name, '，', ','), '( *,)+ *', ', ', 'g'), '^, |, $', '', 'g') as name_line
    from members
    inner join distinct_keys on members.person_key = distinct_keys.person_key
),

-- `Jr.` and similar words after a comma stay with the family name.
without_suffix as (
    select
        *,
        case
            when name_line like '% %, %' then regexp_replace(name_line, '(, ({{ suffix }}|{{ degree }})[.]?)+$', '', 'i')
            else regexp_replace(name_line, '(, ({{ suffix }})[.]?)+$', '', 'i')
        end as name
    from of_members
),

arranged as (
    select
        *,
        substr(name_line, length(name) + 1) as suffix,
        split_part(name, ', ', 1) as first_part,
        split_part(name, ', ', 2) as second_part,
        split_part(name, ', ', 3) as third_part,
        case
            when lower(name_line) ~ '^.+[ ,](inc|incorporated|llc|ltd|limited|llp|plc|gmbh|corp|corporation)[.]?$' then 'whole'
            when name_line like '%, %' and name_line ~ '^.*[()&/;:@].*$' then 'whole'
            when name not like '%, %' and name not like '% %' then case when name = name_line then 'given' else 'family' end
            when name not like '%, %' and name = name_line and lower(name) ~ '^.+ [^ ]+ (jr|sr|ii|iii|iv)[.]?$' then 'last two words'
            when name not like '%, %' then 'last word'
            when name not like '%, %, %' then 'family first'
            when name not like '%, %, %, %' and lower(split_part(name, ', ', 2)) ~ '^({{ suffix }})[.]?$' then 'family and suffix first'
            else 'whole'
        end as way
    from without_suffix
),

named as (
    select
        *,
        case way
            when 'whole' then full_name
            when 'given' then name
            when 'last two words' then regexp_replace(name, ' [^ ]+ [^ ]+$', '')
            when 'last word' then regexp_replace(name, ' [^ ]*$', '')
            when 'family first' then second_part
            when 'family and suffix first' then third_part
        end as given_name,
        case way
            when 'family' then name_line
            when 'last two words' then regexp_replace(name, '^.* ([^ ]+ [^ ]+)$', '\1')
            when 'last word' then regexp_replace(name, '^.* ', '') || suffix
            when 'family first' then first_part || suffix
            when 'family and suffix first' then first_part || ', ' || second_part || suffix
        end as family_name
    from arranged
)

select
    person_key,
    {{ id_of_key("person_key") }} as person_id,
    identity_key,
    user_sourced_id,
    coursera_user_id,
    external_id,

    full_name,
    coalesce(nullif({{ cut("given_name") }}, ''), {{ placeholder }}) as given_name,
    coalesce(nullif({{ cut("family_name") }}, ''), {{ placeholder }}) as family_name,
    email,

    is_member
from named
