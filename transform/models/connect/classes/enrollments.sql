with of_persons as (
    select reported.*, {{ person_of("coalesce(reported.enrolled_at, reported.changed_at)") }} as person_key
    from {{ ref("stg_coursera__enrollments") }} as reported
    inner join {{ ref("identities") }} as identities on reported.external_id = identities.external_id
    left join {{ ref("passed_ids") }} as passed on reported.external_id = passed.external_id
    where reported.content_type = 'Course'
),

reports as (
    select
        *,
        -- A learner whose external id has changed may be reported under both.
        row_number() over (
            partition by program_id, content_id, person_key
            order by report_refreshed_at desc nulls last, changed_at desc nulls last, enrollment_id nulls last
        ) as newest
    from of_persons
),

-- program_memberships says who is a member now; the membership state in the report may be a day or more behind.
of_members as (
    select
        reports.program_id,
        reports.content_id as course_id,
        reports.person_key,
        program_schools.program_id_part,
        courses.course_id_part,
        section_learners.section_id,
        class_sections.section_id_part,
        people.identity_key,
        people.user_sourced_id,

        reports.grade_0_to_1,
        {{ usable(exact("reports.grade_0_to_1") ~ " * 100") }} as final_grade_percent,
        gradebook.course_grade_percent as gradebook_grade_percent,

        reports.is_completed,

        reports.enrolled_at,
        greatest(reports.enrolled_at, reports.last_activity_at, reports.completed_at) as last_active_at,
        coalesce(reports.completed_at, gradebook.completed_at) as completed_at,
        coalesce(reports.completed_at, gradebook.completed_at) is null
            and (reports.is_completion_impossible or coalesce(gradebook.is_completion_impossible, false)) as is_completion_impossible
    from reports
    inner join {{ ref("memberships") }} as memberships
        on reports.program_id = memberships.program_id and reports.person_key = memberships.person_key and memberships.is_member
    inner join {{ ref("people") }} as people on reports.person_key = people.person_key
    inner join {{ ref("program_schools") }} as program_schools on reports.program_id = program_schools.program_id
    inner join {{ ref("courses") }} as courses on reports.content_id = courses.course_id
    left join {{ ref("section_learners") }} as section_learners
        on reports.program_id = section_learners.program_id
        and reports.content_id = section_learners.course_id
        and reports.person_key = section_learners.person_key
    left join {{ ref("class_sections") }} as class_sections
        on section_learners.program_id = class_sections.program_id
        and section_learners.course_id = class_sections.course_id
        and section_learners.section_id = class_sections.section_id
    left join {{ ref("gradebook") }} as gradebook
        on reports.program_id = gradebook.program_id
        and reports.content_id = gradebook.course_id
        and reports.person_key = gradebook.person_key
    where reports.newest = 1
)

select
    *,
    {{ sourced_id("enrollment", ["program_id_part", "course_id_part", "identity_key"]) }} as enrollment_sourced_id,
    {{ sectioned_id("class", ["program_id_part", "course_id_part"], "section_id_part") }} as class_sourced_id,
    {{ school_day("enrolled_at") }} as enrolled_on,
    {{ school_day("completed_at") }} as completed_on,
    {{ school_day("last_active_at") }} as last_active_on
from of_members
