{%- set account = unless_email("case when person_key like 'external~%' then substr(person_key, 10) else person_key end") -%}
with ungraded as (
    select enrollments.*, freshness.report_refreshed_at
    from {{ ref("enrollments") }} as enrollments
    cross join {{ ref("freshness") }} as freshness
    where enrollments.is_completed and (enrollments.grade_0_to_1 is null or enrollments.completed_on is null)
),

listed_accounts as (
    select
        coursera_user_id,
        count(*) over (partition by lower({{ trimmed("email") }})) as same_email,
        count(*) over (partition by lower({{ trimmed("external_id") }})) as same_external_id,
        nullif({{ trimmed("email") }}, '') as email,
        nullif({{ trimmed("external_id") }}, '') as external_id
    from {{ ref("stg_coursera__users") }}
),

reported_people as (
    select reported.program_id, reported.content_id, memberships.person_key, count(distinct reported.external_id) as names
    from {{ ref("stg_coursera__enrollments") }} as reported
    inner join {{ ref("identities") }} as identities on reported.external_id = identities.external_id
    inner join {{ ref("memberships") }} as memberships
        on reported.program_id = memberships.program_id and identities.person_key = memberships.person_key
    group by reported.program_id, reported.content_id, memberships.person_key
),

findings as (
    select 'two-organizations' as rule, 'stop' as severity,
        'The warehouse holds more than one organisation: run full-reconcile, or start with an empty warehouse.' as sentence,
        'organization' as entity, cast(null as text) as program_id, organization_id as record_id
    from {{ ref("stg_coursera__organizations") }}
    where (select count(*) from {{ ref("stg_coursera__organizations") }}) > 1
    union all
    select 'no-term', 'stop',
        'There is no term, so no class can be in one: add terms to terms.csv, or choose another calendar.',
        'term', null, null
    from {{ ref("freshness") }}
    where today is not null and not exists (select 1 from {{ ref("school_terms") }})

    union all
    select 'completed-without-grade', 'flag',
        'Completed more than 48 hours before the report, or at an unknown time, but Coursera shows no grade.',
        'enrollment', program_id, enrollment_sourced_id
    from ungraded
    where completed_at is null or completed_at + interval '48 hours' < report_refreshed_at or report_refreshed_at is null
    union all
    select 'final-and-gradebook-disagree', 'flag',
        'The final grade of the enrollment report and the grade of the gradebook are more than half a point apart.',
        'enrollment', program_id, enrollment_sourced_id
    from {{ ref("enrollments") }}
    where is_completed and abs(final_grade_percent - gradebook_grade_percent) > 0.5
    union all
    select 'grade-above-maximum', {% if above_maximum() == "cap" %}'repair',
        'A score is above the maximum: the file has the maximum.'
        {%- else %}'skip',
        'A score is above the maximum: there is no result.'
        {%- endif %},
        'result', program_id, result_sourced_id
    from {{ ref("grades") }}
    where doubt = 'above maximum'
    union all
    select 'gradebook-never-above-one', 'flag',
        'No course grade in the gradebook of the program is above 1, and some are fractions, as if its scale had changed.',
        'program', program_id, program_id
    from {{ ref("gradebook") }}
    group by program_id
    having max(course_grade_percent) <= 1 and max(case when course_grade_percent > 0 and course_grade_percent < 1 then 1 else 0 end) = 1
    union all
    select 'enrolled-after-completed', 'flag',
        'The enrollment is later than the completion.',
        'enrollment', program_id, enrollment_sourced_id
    from {{ ref("enrollments") }}
    where enrolled_at > completed_at
    union all
    select 'learner-without-account', 'flag',
        'A member whose Coursera account was never seen: known by the external id alone.',
        'user', program_id, {{ account }}
    from {{ ref("memberships") }}
    where is_member and person_key like 'external~%'
    union all
    select 'shared-email', 'flag',
        'Several accounts have the e-mail address, upper and lower case aside: they stay several people.',
        'user', null, coursera_user_id
    from listed_accounts
    where email is not null and same_email > 1
    union all
    select 'shared-external-id', 'flag',
        'Several accounts have the external id, upper and lower case aside.',
        'user', null, coursera_user_id
    from listed_accounts
    where external_id is not null and same_external_id > 1
    union all
    select 'shared-username', 'flag',
        'Several people would have the username, upper and lower case aside: the record has its sourcedId instead.',
        'user', null, user_sourced_id
    from {{ ref("accounts") }}
    where is_username_shared
    union all
    select 'several-external-ids', 'flag',
        'A learner is reported under several external ids: the newest row counts.',
        'user', program_id, {{ account }}
    from reported_people
    where names > 1
    union all
    select 'remembered-account', 'flag',
        'A member was found only because an account once had the external id.',
        'user', listed.program_id, identities.person_key
    from {{ ref("stg_coursera__program_memberships") }} as listed
    inner join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
    inner join {{ ref("memberships") }} as memberships
        on listed.program_id = memberships.program_id and identities.person_key = memberships.person_key
    where identities.resolved_by = 'remembered'
    union all
    select 'stale-report', 'flag',
        'The enrollment report was last refreshed more than 72 hours before it was read.',
        'report', null, null
    from {{ ref("freshness") }}
    where report_refreshed_at + interval '72 hours' < read_at
    union all
    select 'mapped-program-gone', 'flag',
        'A program of school_mapping.csv does not exist at Coursera any more.',
        'program', mapped.program_id, mapped.program_id
    from {{ ref("school_mapping") }} as mapped
    left join {{ ref("stg_coursera__programs") }} as programs on mapped.program_id = programs.program_id
    where programs.program_id is null
    {%- if grade_sync() == "granular_selected" %}
    union all
    select 'chosen-item-unknown', 'flag',
        'A row of chosen_items.csv matches no item of any gradebook.',
        'item', chosen.program_id, chosen.course_id
    from {{ ref("chosen_items") }} as chosen
    where not exists (
        select 1 from (select *, item_name as name from {{ ref("stg_coursera__item_grades") }}) as items
        where {{ is_chosen("chosen", "items") }}
    )
    {%- endif %}

    union all
    select 'content-without-gradebook', 'skip',
        'Enrolled in content other than a course (record_id tells which type): it has no gradebook.',
        'enrollment', program_id, content_type
    from {{ ref("stg_coursera__enrollments") }}
    where content_type <> 'Course'
    union all
    select 'content-without-class', 'skip',
        'Content of a program other than a course (record_id tells which type): it makes no class.',
        'class', program_id, content_type
    from {{ ref("stg_coursera__program_contents") }}
    where content_type <> 'Course'
    union all
    select 'no-id', 'skip',
        'Neither external id nor e-mail address: nobody can tell whose it is.',
        'enrollment', program_id, null
    from {{ ref("stg_coursera__enrollments") }}
    where external_id is null
    union all
    select 'no-id', 'skip',
        'Neither external id nor e-mail address: nobody can tell whose it is.',
        'membership', program_id, null
    from {{ ref("stg_coursera__program_memberships") }}
    where external_id is null
    union all
    select 'not-a-member', 'skip',
        'The learner is not a member of the program now.',
        'enrollment', reported.program_id, null
    from {{ ref("stg_coursera__enrollments") }} as reported
    inner join {{ ref("identities") }} as identities on reported.external_id = identities.external_id
    inner join {{ ref("program_schools") }} as program_schools on reported.program_id = program_schools.program_id
    left join {{ ref("memberships") }} as memberships
        on reported.program_id = memberships.program_id and identities.person_key = memberships.person_key and memberships.is_member
    where
        reported.content_type = 'Course'
        and memberships.person_key is null
        and identities.person_key not in (select person_key from {{ ref("excluded") }})
    union all
    select 'excluded-person', 'skip',
        'A person of excluded_people.csv is in no file.',
        'user', null, {{ account }}
    from {{ ref("excluded") }}
    union all
    select 'grade-not-shown-yet', 'skip',
        'Completed at most 48 hours before the report, and Coursera does not show the grade yet.',
        'result', program_id, null
    from ungraded
    where completed_at + interval '48 hours' >= report_refreshed_at
    union all
    select 'course-without-name', 'skip',
        'A course without a name and without learners makes no class.',
        'class', offered.program_id, null
    from {{ ref("stg_coursera__program_contents") }} as offered
    left join {{ ref("courses") }} as courses on offered.content_id = courses.course_id
    where offered.content_type = 'Course' and courses.course_id is null
    union all
    select 'program-not-mapped', 'skip',
        'A program that school_mapping.csv does not list is left out with its members, classes and grades.',
        'program', programs.program_id, programs.program_id
    from {{ ref("stg_coursera__programs") }} as programs
    left join {{ ref("program_schools") }} as program_schools on programs.program_id = program_schools.program_id
    where program_schools.program_id is null
)

select rule, severity, sentence, entity, program_id, record_id, count(*) as how_many
from findings
group by rule, severity, sentence, entity, program_id, record_id
