-- The external ids in each list. Two ids in one list of one program that differ only in letter case or outer blanks are two people.
with roster as (
    select 'users' as list, '' as program_id, external_id from {{ ref("stg_coursera__users") }} where external_id is not null
    union
    select 'members', program_id, external_id from {{ ref("stg_coursera__program_memberships") }} where external_id is not null
    union
    select 'invited', program_id, external_id from {{ ref("stg_coursera__program_invitations") }} where external_id is not null
),

reported as (
    select external_id from roster
    union
    select external_id from {{ ref("stg_coursera__enrollments") }} where external_id is not null
    union
    select external_id from {{ ref("stg_coursera__course_grades") }} where external_id is not null
    union
    select external_id from {{ ref("stg_coursera__item_grades") }} where external_id is not null
),

-- Ids that an account once had and that a member with another name and e-mail address has now.
accounts as (
    select coursera_user_id, full_name, email from {{ ref("stg_coursera__users") }}
    union all
    select coursera_user_id, full_name, email from {{ ref("stg_coursera__removed_users") }}
),

passed_on as (
    select remembered.external_id
    from {{ ref("person_aliases") }} as remembered
    inner join accounts on remembered.coursera_user_id = accounts.coursera_user_id
    inner join {{ ref("stg_coursera__program_memberships") }} as members on remembered.external_id = members.external_id
    group by remembered.external_id
    having bool_and({{ is_other_person("members", "accounts") }})
),

-- The same for members without an account, by their names and addresses in person_keys: a member who took over an id is another person.
remembered_members as (
    select
        remembered.external_id,
        remembered.holder_key,
        max(remembered.joined_at) as joined_at,
        bool_and({{ has_taken_over("members", "remembered") }}) as is_of_another
    from {{ remembered_people() }} as remembered
    inner join {{ ref("stg_coursera__program_memberships") }} as members on remembered.external_id = members.external_id
    where {{ is_without_account("remembered.holder_key") }}
    group by remembered.external_id, remembered.holder_key
),

newest_member as (
    select
        *,
        count(*) over (partition by external_id) as holders,
        row_number() over (partition by external_id order by is_of_another, joined_at desc nulls last, holder_key desc nulls last) as choice
    from remembered_members
),

member_keys as (
    select
        external_id,
        case when is_of_another then {{ key_without_account("external_id", "cast(holders + 1 as text)") }} else holder_key end as holder_key
    from newest_member
    where choice = 1
),

listed as (
    select external_id, coursera_user_id
    from {{ ref("stg_coursera__user_aliases") }}
    where not is_removed
),

remembered as (
    select external_id, coursera_user_id
    from {{ ref("person_aliases") }}
    where external_id not in (select external_id from passed_on)
),

-- The following compare ids without letter case and outer blanks.
several_in_a_list as (
    select distinct {{ folded("external_id") }} as folded
    from roster
    group by list, program_id, {{ folded("external_id") }}
    having count(*) > 1
),

similar_listed as (
    select {{ folded("external_id") }} as folded, count(distinct coursera_user_id) as accounts, min(coursera_user_id) as coursera_user_id
    from listed
    group by {{ folded("external_id") }}
),

similar_remembered as (
    select {{ folded("external_id") }} as folded, count(distinct coursera_user_id) as accounts, min(coursera_user_id) as coursera_user_id
    from remembered
    group by {{ folded("external_id") }}
),

similar_member as (
    select {{ folded("external_id") }} as folded, count(distinct external_id) as ids, min(external_id) as external_id
    from roster
    where list <> 'users'
    group by {{ folded("external_id") }}
),

compared as (
    select
        reported.external_id,
        coalesce(listed.coursera_user_id, remembered.coursera_user_id) as exact_account,
        listed.coursera_user_id is not null as is_listed,
        coalesce(similar_listed.accounts, similar_remembered.accounts, 0) as similar_accounts,
        coalesce(similar_listed.coursera_user_id, similar_remembered.coursera_user_id) as similar_account,
        several_in_a_list.folded is not null as is_one_of_several,
        exists (select 1 from roster where roster.external_id = reported.external_id) as is_on_a_roster,
        coalesce(similar_member.ids, 0) as similar_members,
        similar_member.external_id as similar_member,
        passed_on.external_id is not null as is_passed_on
    from reported
    left join listed on reported.external_id = listed.external_id
    left join remembered on reported.external_id = remembered.external_id
    left join passed_on on reported.external_id = passed_on.external_id
    left join similar_listed on {{ folded("reported.external_id") }} = similar_listed.folded
    left join similar_remembered on {{ folded("reported.external_id") }} = similar_remembered.folded
    left join several_in_a_list on {{ folded("reported.external_id") }} = several_in_a_list.folded
    left join similar_member on {{ folded("reported.external_id") }} = similar_member.folded
),

decided as (
    select
        *,
        case
            when exact_account is null and similar_accounts = 1 and not is_one_of_several and not is_passed_on then similar_account
        end as found_account,
        case when not is_on_a_roster and similar_members = 1 and similar_accounts = 0 then similar_member else external_id end as member_id
    from compared
)

select
    decided.external_id,
    -- A readable sourcedId cannot have a `~` in it, so the sourcedId of such a person is always a hash.
    coalesce(exact_account, found_account, member_keys.holder_key, {{ key_without_account("member_id") }}) as holder_key,
    coalesce(exact_account, found_account) as coursera_user_id,
    case
        when is_listed then 'users_list'
        when exact_account is not null then 'remembered'
        when found_account is not null then 'similar'
        else 'external_id'
    end as resolved_by,
    exact_account is null and found_account is null and not is_passed_on
    and case when is_on_a_roster then similar_accounts > 1 else similar_accounts > 0 or similar_members > 1 end as is_ambiguous
from decided
left join member_keys on decided.member_id = member_keys.external_id
