{#-
  For each stream: its key, how a row is named (its id, or parts of it; {person} is the learner), and whether it has a learner, impossible moments
  or a score.
-#}
{%- set streams = {
  "organizations": {"key": ["id"], "row": "organization_id"},
  "programs": {"key": ["id"], "row": "program_id"},
  "program_contents": {"key": ["program_id", "content_type", "content_id"], "row": "content_type || '~' || content_id"},
  "users": {"key": ["id"], "row": "coursera_user_id"},
  "program_memberships": {"key": ["id"], "row": "{person}", "learner": true, "moments": true},
  "program_invitations": {"key": ["id"], "row": "{person}", "learner": true, "moments": true},
  "contents": {"key": ["id"], "row": "content_key", "moments": true},
  "course_materials": {"key": ["program_id", "id"], "row": "course_id"},
  "curriculum_collections": {"key": ["id"], "row": "collection_key"},
  "enrollments": {"key": ["program_id", "id", "content_id"], "row": "{person} || '~' || content_type || '~' || content_id", "learner": true, "moments": true,
    "score": {"column": "grade", "value": "grade_0_to_1", "percent": "grade_0_to_1 * 100"}},
  "course_grades": {"key": ["program_id", "id", "course_id"], "row": "{person} || '~' || course_id", "learner": true, "moments": true,
    "score": {"column": "overall_course_grade", "value": "course_grade_percent"}},
  "item_grades": {"key": ["program_id", "external_id", "course_id", "item_id"],
    "row": "{person} || '~' || course_id || '~' || item_id", "learner": true,
    "score": {"column": "item_grade", "value": "item_grade_percent"}},
  "skillsets": {"key": ["skillset_id"], "row": "skillset_id"},
  "skillset_progress": {"key": ["user_email", "skillset_id"], "row": "skillset_id", "moments": true},
} -%}
{#- Without the streams of `needed` there is no roster. Without those of `wanted` a file lacks some rows. -#}
{%- set needed = {
  "organizations": "no district is known, and orgs.csv cannot be written",
  "programs": "no school is known, and orgs.csv and classes.csv cannot be written",
  "users": "no account is known, and nobody in users.csv would have a lasting id",
  "program_memberships": "no member is known, and users.csv cannot be written",
} -%}
{%- set wanted = {
  "enrollments": "enrollments.csv has no learners and results.csv no grades",
  "program_contents": "classes.csv has only courses that somebody is enrolled in",
} -%}
{%- if setting("grade_sync") == "final_incremental" %}{% do wanted.update({"course_grades": "results.csv has no running grades"}) %}
{%- elif not is_graded_as_a_whole() %}{% do wanted.update({"item_grades": "lineItems.csv and results.csv have no items"}) %}{% endif -%}
with ungraded as (
    select enrollments.*, freshness.report_refreshed_at
    from {{ ref("enrollments") }} as enrollments
    cross join {{ ref("freshness") }} as freshness
    where
        enrollments.is_completed
        and not enrollments.is_completion_impossible
        and (enrollments.grade_0_to_1 is null or enrollments.completed_on is null)
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
    select reported.program_id, reported.content_id, identities.person_id, count(distinct reported.external_id) as names
    from {{ ref("stg_coursera__enrollments") }} as reported
    inner join {{ ref("identities") }} as identities on reported.external_id = identities.external_id
    inner join {{ ref("memberships") }} as memberships
        on reported.program_id = memberships.program_id and identities.person_key = memberships.person_key
    group by reported.program_id, reported.content_id, identities.person_key, identities.person_id
),

-- The rows of each stream with a problem in the row itself, and their names.
{%- for stream, of in streams.items() %}
odd_{{ stream }} as (
    select
        {{ "listed.program_id" if "program_id" in of.key or of.learner else "cast(null as text)" }} as program_id,
        {{ of.row | replace("{person}", "identities.person_id") }} as record_id,
        {{ "listed.impossible_moments" if of.moments else "cast(null as text)" }} as impossible_moments,
        listed.row_problems,
        {%- if of.score %}
        cast(case when {{ of.score.value }} is not null and {{ usable(of.score.percent or of.score.value) }} is null then {{ of.score.value }} end as text) as unusable_score
        {%- else %}
        cast(null as text) as unusable_score
        {%- endif %}
    from {{ ref("stg_coursera__" ~ stream) }} as listed
    {%- if of.learner %}
    left join {{ ref("identities") }} as identities on listed.external_id = identities.external_id
    {%- endif %}
    where
        listed.row_problems is not null
        {%- if of.moments %}
        or listed.impossible_moments is not null
        {%- endif %}
        {%- if of.score %}
        or ({{ of.score.value }} is not null and {{ usable(of.score.percent or of.score.value) }} is null)
        {%- endif %}
),
{%- endfor %}

problems as (
    {%- for stream in streams %}
    select '{{ stream }}' as stream, program_id, record_id, unnest(string_to_array(row_problems, ' ')) as problem
    from odd_{{ stream }}
    where row_problems is not null
    {{ "union all" if not loop.last }}
    {%- endfor %}
),

-- Findings about one column of a row, and about rows that no model has.
cells as (
    {%- for stream, of in streams.items() %}
    select
        'impossible-moment' as rule, 'flag' as severity,
        'Something was done before 2012, or more than a day after the run: the moment counts as absent and moves nothing.' as sentence,
        '{{ stream }}' as entity, program_id, record_id, unnest(string_to_array(impossible_moments, ' ')) as field,
        cast(null as text) as reported, cast(1 as bigint) as how_many
    from odd_{{ stream }}
    where impossible_moments is not null
    union all
    {%- if of.score %}
    select
        'unusable-score', 'skip', 'A score is below zero or no number: it is no grade.',
        '{{ stream }}', program_id, record_id, '{{ of.score.column }}', unusable_score, 1
    from odd_{{ stream }}
    where unusable_score is not null
    union all
    {%- endif %}
    {%- if is_loaded(source("coursera", stream)) %}
    select
        'row-without-key', 'skip', 'A row lacks what makes it unique: nobody can tell whose it is.',
        '{{ stream }}', cast(null as text), cast(null as text), '{{ of.key | join(" ") }}', cast(null as text), count(*)
    from {{ source("coursera", stream) }}
    where ({{ has_key(of.key) }}) is not true
    having count(*) > 0
    union all
    {%- else %}
    {%- if stream in needed or stream in wanted %}
    select
        'stream-not-loaded', '{{ "stop" if stream in needed else "flag" }}',
        'The stream {{ stream }} was never loaded: {{ needed.get(stream) or wanted.get(stream) }}. Select the stream, and load it.',
        'stream', cast(null as text), '{{ stream }}', cast(null as text), cast(null as text), 1
    union all
    {%- endif %}
    {%- endif %}
    {%- endfor %}
    select
        'stream-not-read', 'flag',
        'A stream was not read for more than 8 days, so the files hold what it brought then: select it again, or see docs/bad-data.md for going on without it.',
        'stream', cast(null as text), stream, cast(null as text), cast(null as text), 1
    from {{ ref("unread_streams") }}
    where stream in ('{{ (needed.keys() | list + wanted.keys() | list) | join("', '") }}')
    union all
    select
        'repaired-text', 'repair', 'A text had characters that no file can hold: they were replaced.',
        stream, program_id, record_id, split_part(problem, ':', 1), null, 1
    from problems
    where problem like '%:text'
    union all
    select
        'unusable-value', 'repair', 'A value is not what its column holds: it counts as absent.',
        stream, program_id, record_id, split_part(problem, ':', 1), null, 1
    from problems
    where problem not like '%:text'
    union all
    select
        'rows-left-out', 'skip', 'Rows lacked what makes them unique, so the tap left them out.',
        stream, nullif(program_id, ''), null, left_out_for, null, rows_left_out
    from {{ ref("stg_coursera__stream_reads") }}
    where rows_left_out > 0
    union all
    select
        'grade-above-maximum',
        {%- if setting("above_maximum") == "cap" %} 'repair', 'A score is above the maximum: the file has the maximum.',
        {%- else %} 'skip', 'A score is above the maximum: there is no result.',
        {%- endif %}
        'result', program_id, result_sourced_id, 'score', cast(reported_percent as text), 1
    from {{ ref("grades") }}
    where doubt = 'above maximum'
    union all
    select
        'impossible-completion', 'skip',
        'The course was completed at a moment that cannot be: a published result stays as it is, a new one waits.',
        'result', program_id, result_sourced_id, 'scoreDate', null, 1
    from {{ ref("grades") }}
    where doubt = 'impossible completion'
),

findings as (
    select 'two-organizations' as rule, 'stop' as severity,
        'The warehouse holds more than one organisation: run full-reconcile, or start with an empty warehouse.' as sentence,
        'organization' as entity, cast(null as text) as program_id, organization_id as record_id
    from {{ ref("stg_coursera__organizations") }}
    where (select count(*) from {{ ref("stg_coursera__organizations") }}) > 1
    union all
    {%- if is_loaded(source("coursera", "organizations")) %}
    select 'no-organization', 'stop',
        'The list organizations is empty, so nobody knows the district: check TAP_COURSERA_ORG_ID, and run full-reconcile.',
        'organization', null, null
    from (select 1 as one) as once
    where
        not exists (select 1 from {{ ref("stg_coursera__organizations") }})
        and exists (select 1 from {{ ref("stg_coursera__programs") }})
    union all
    {%- endif %}
    select 'organization-not-listed', 'flag',
        'The list organizations is empty: the organisation that it had last is kept. Check TAP_COURSERA_ORG_ID.',
        'organization', null, organization_id
    from {{ ref("stg_coursera__organizations") }}
    where is_removed
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
    select 'gradebook-never-above-one', 'flag',
        'No course grade in the gradebook of the program is above 1, and some are fractions, as if its scale had changed.',
        'program', program_id, program_id
    from {{ ref("gradebook") }}
    group by program_id
    having max(course_grade_percent) <= 1 and bool_or(course_grade_percent > 0 and course_grade_percent < 1)
    union all
    select 'enrolled-after-completed', 'flag',
        'The enrollment is later than the completion.',
        'enrollment', program_id, enrollment_sourced_id
    from {{ ref("enrollments") }}
    where enrolled_at > completed_at
    union all
    select 'learner-without-account', 'flag',
        'A member whose Coursera account was never seen: known by the external id alone.',
        'user', memberships.program_id, people.person_id
    from {{ ref("memberships") }} as memberships
    inner join {{ ref("people") }} as people on memberships.person_key = people.person_key
    where memberships.is_member and people.coursera_user_id is null
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
        'user', program_id, person_id
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
    select 'report-row-twice', 'skip',
        'A report shows several rows of one id: the newer counts, that of a member before that of a deleted member.',
        entity, program_id, row_id
    from {{ ref("stg_coursera__rows_twice") }}
    union all
    select 'report-row-twice', 'skip',
        'A report shows several rows of one id: the newer counts, that of a member before that of a deleted member.',
        case stream when 'enrollments' then 'enrollment' else 'grade' end, program_id, null
    from {{ ref("stg_coursera__stream_reads") }}
    where rows_outranked > 0
    union all
    select 'ambiguous-external-id', 'skip',
        'Several accounts or members have an external id that differs from this one in letter case or outer blanks alone: what is reported under it is nobody''s.',
        'user', null, external_id
    from {{ ref("identities") }}
    where is_ambiguous
    union all
    select 'external-id-passed-on', 'skip',
        'Reported under the external id of somebody else, from before that person had it: the present holder gets nothing of it.',
        'enrollment', reported.program_id, reported.enrollment_id
    from {{ ref("stg_coursera__enrollments") }} as reported
    inner join {{ ref("passed_ids") }} as passed on reported.external_id = passed.external_id
    where not {{ is_of_present_holder("coalesce(reported.enrolled_at, reported.changed_at)") }}
    union all
    select 'external-id-passed-on', 'skip',
        'Reported under the external id of somebody else, from before that person had it: the present holder gets nothing of it.',
        'grade', reported.program_id, reported.course_grade_id
    from {{ ref("stg_coursera__course_grades") }} as reported
    inner join {{ ref("passed_ids") }} as passed on reported.external_id = passed.external_id
    where not {{ is_of_present_holder("coalesce(reported.enrolled_at, reported.changed_at)") }}
    union all
    select 'external-id-passed-on', 'flag',
        'An external id has passed from one person to another.',
        'user', null, external_id
    from {{ ref("passed_ids") }}
    union all
    select 'stale-report', 'flag',
        'The enrollment report was last refreshed more than 72 hours before it was read.',
        'report', null, null
    from {{ ref("freshness") }}
    where report_refreshed_at + interval '72 hours' < read_at
    union all
    select 'excluded-person-unknown', 'flag',
        'A line of excluded_people.csv matches nobody, so nobody is left out by it: connect mapping check names what is nearest.',
        file, program_id, 'line ' || line_number
    from {{ ref("lines_without_effect") }}
    where file = 'excluded_people.csv'
    union all
    select 'mapping-line-unknown', 'flag',
        'A line of a mapping file matches nobody or nothing, so it has no effect: connect mapping check names what is nearest.',
        file, program_id, 'line ' || line_number
    from {{ ref("lines_without_effect") }}
    where file not in ('excluded_people.csv', 'terms.csv')
    union all
    select 'term-far-ahead', 'skip',
        'A term of terms.csv begins after the school year that follows the current one: it makes no session yet.',
        file, program_id, 'line ' || line_number
    from {{ ref("lines_without_effect") }}
    where file = 'terms.csv'
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
    {%- for stream, entity in {"users": "user", "program_memberships": "membership", "enrollments": "enrollment", "course_grades": "grade"}.items() %}
    select 'no-id', 'skip',
        'Neither external id nor e-mail address: nobody can tell whose it is.',
        '{{ entity }}', {{ "null" if stream == "users" else "program_id" }}, {{ "coursera_user_id" if stream == "users" else "null" }}
    from {{ ref("stg_coursera__" ~ stream) }}
    where external_id is null
    union all
    {%- endfor %}
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
        'user', null, person_id
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
    where
        program_schools.program_id is null
        and programs.program_id not in (select program_id from {{ ref("school_mapping") }} where program_id is not null)
),

found as (
    select
        rule,
        severity,
        sentence,
        entity,
        -- An id that may be an e-mail address, or hold one, is left out.
        case when program_id not like '%@%' then program_id end as program_id,
        case when record_id not like '%@%' then record_id end as record_id,
        field,
        reported,
        how_many
    from (
        select rule, severity, sentence, entity, program_id, record_id, cast(null as text) as field, cast(null as text) as reported, 1 as how_many
        from findings
        union all
        select rule, severity, sentence, entity, program_id, record_id, field, reported, how_many
        from cells
    ) as every_finding
)

select rule, severity, sentence, entity, program_id, record_id, field, reported, cast(sum(how_many) as bigint) as how_many
from found
group by rule, severity, sentence, entity, program_id, record_id, field, reported
