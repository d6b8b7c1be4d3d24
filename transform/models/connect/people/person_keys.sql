{{ config(
    materialized="incremental",
    unique_key=["external_id", "holder_key", "email", "full_name"],
    incremental_strategy="delete+insert",
    full_refresh=false,
) }}

{#- In the first build with this table, the keys come from `people`, as an earlier release has published them. -#}
{%- set before = adapter.get_relation(this.database, this.schema, "people") if execute and not is_incremental() else none -%}
{%- if before is not none -%}
  {%- set columns = adapter.get_columns_in_relation(before) | map(attribute="name") | list -%}
  {%- if ["person_key", "external_id", "email", "full_name"] | reject("in", columns) | list -%}{%- set before = none -%}{%- endif -%}
{%- endif -%}

with known as (
    {% if is_incremental() -%}
    select external_id, holder_key, person_key, email, full_name, joined_at from {{ this }}
    {%- elif before is not none -%}
    select
        external_id,
        person_key as holder_key,
        person_key,
        coalesce({{ one_line("email") }}, '') as email,
        coalesce({{ one_line("full_name") }}, '') as full_name,
        cast(null as timestamptz) as joined_at
    from {{ before }}
    {%- else -%}
    select
        cast(null as text) as external_id, cast(null as text) as holder_key, cast(null as text) as person_key,
        cast(null as text) as email, cast(null as text) as full_name, cast(null as timestamptz) as joined_at
    where false
    {%- endif %}
),

listed as (
    select program_id, external_id, email, full_name, joined_at from {{ ref("stg_coursera__program_memberships") }}
    union all
    select program_id, external_id, email, full_name, cast(null as timestamptz) from {{ ref("stg_coursera__program_invitations") }}
    where {{ setting("include_invited") }}
),

described as (
    select
        listed.external_id,
        id_holders.holder_key,
        coalesce({{ one_line("listed.email") }}, '') as email,
        coalesce({{ one_line("listed.full_name") }}, '') as full_name,
        min(listed.joined_at) as joined_at
    from listed
    inner join {{ ref("id_holders") }} as id_holders on listed.external_id = id_holders.external_id
    inner join {{ ref("program_schools") }} as program_schools on listed.program_id = program_schools.program_id
    group by 1, 2, 3, 4
),

keys as (
    select holder_key, min(person_key) as person_key
    from known
    group by holder_key
),

-- Members who were published without an account, and for whom no account was found since.
without_account as (
    select *
    from known
    where
        {{ is_without_account("holder_key") }}
        and person_key not in (select person_key from known where not {{ is_without_account("holder_key") }})
),

-- Holders without a key yet. If a member was published, the key stays, also if an account or another spelling of the id is found later.
newcomers as (
    select *
    from described
    where holder_key not in (select holder_key from keys)
),

alike as (
    select newcomers.holder_key, without_account.person_key, 1 as likeness
    from newcomers
    inner join without_account on newcomers.external_id = without_account.external_id
    where not {{ has_taken_over("newcomers", "without_account") }}
    union all
    select newcomers.holder_key, without_account.person_key, 2
    from newcomers
    inner join without_account on {{ folded("newcomers.external_id") }} = {{ folded("without_account.external_id") }}
    where
        without_account.external_id not in (select external_id from described)
        and not {{ has_taken_over("newcomers", "without_account") }}
),

turned_out as (
    select
        holder_key,
        person_key,
        row_number() over (partition by holder_key order by likeness nulls last, person_key nulls last) as choice,
        row_number() over (partition by person_key order by likeness nulls last, holder_key nulls last) as claim
    from (select holder_key, person_key, min(likeness) as likeness from alike group by holder_key, person_key) as pairs
),

keyed as (
    select
        described.external_id,
        described.holder_key,
        coalesce(keys.person_key, turned_out.person_key, described.holder_key) as person_key,
        described.email,
        described.full_name,
        described.joined_at
    from described
    left join keys on described.holder_key = keys.holder_key
    left join turned_out
        on described.holder_key = turned_out.holder_key and turned_out.choice = 1 and turned_out.claim = 1
)

{% if not is_incremental() -%}
select known.external_id, known.holder_key, known.person_key, known.email, known.full_name, described.joined_at
from known
left join described
    on known.external_id = described.external_id
    and known.holder_key = described.holder_key
    and known.email = described.email
    and known.full_name = described.full_name
union all
{% endif -%}
select keyed.external_id, keyed.holder_key, keyed.person_key, keyed.email, keyed.full_name, keyed.joined_at
from keyed
left join known
    on keyed.external_id = known.external_id
    and keyed.holder_key = known.holder_key
    and keyed.email = known.email
    and keyed.full_name = known.full_name
where known.external_id is null
