{{ config(materialized="view") }}

-- A publish keeps a row that vanished or fell to nothing until Coursera's row behind it was read again, so it asks for few rows of this view.
with reported as (
    select 'enrollments' as stream, program_id, content_id as course_id, external_id, coalesce(enrolled_at, changed_at) as moment,
        extracted_at, cast(null as bigint) as complete_reading
    from {{ ref("stg_coursera__enrollments") }}
    where content_type = 'Course'
    union all
    select 'course_grades', program_id, course_id, external_id, coalesce(enrolled_at, changed_at), extracted_at, null
    from {{ ref("stg_coursera__course_grades") }}
    union all
    select stream, program_id, course_id, external_id, coalesce(enrolled_at, changed_at), null, complete_reading
    from {{ ref("stg_coursera__removed_reports") }}
    where item_id is null
),

of_persons as (
    select
        reported.stream,
        reported.program_id,
        reported.course_id,
        {{ person_of("reported.moment") }} as person_key,
        reported.extracted_at,
        reported.complete_reading
    from reported
    inner join {{ ref("identities") }} as identities on reported.external_id = identities.external_id
    left join {{ ref("passed_ids") }} as passed on reported.external_id = passed.external_id
),

-- A row that is there is read when its learner was active; one that was removed, in the next complete reading.
newest as (
    select
        stream,
        program_id,
        course_id,
        person_key,
        coalesce({{ utc_text("max(extracted_at)") }}, cast(max(complete_reading) as text), '') as last_read
    from of_persons
    group by stream, program_id, course_id, person_key
),

-- Courses of which no learner's gradebook has an item any more that it had. This is known once the whole course was read, for all learners.
lacking_items as (
    select program_id, course_id from {{ ref("gone_items") }}
    union
    select removed.program_id, removed.course_id
    from {{ ref("stg_coursera__removed_reports") }} as removed
    where
        removed.item_id is not null
        and not exists (
            select 1 from {{ ref("stg_coursera__item_grades") }} as items
            where items.program_id = removed.program_id and items.course_id = removed.course_id and items.item_id = removed.item_id
        )
)

select classes.class_sourced_id, people.user_sourced_id, what.kind, newest.last_read
from newest
inner join (
    select 'enrollments' as stream, 'enrollment' as kind
    union all
    select 'course_grades', 'partially graded'
    union all
    select {% if is_graded_as_a_whole() %}'enrollments'{% else %}'course_grades'{% endif %}, 'fully graded'
) as what on newest.stream = what.stream
inner join {{ ref("classes") }} as classes on newest.program_id = classes.program_id and newest.course_id = classes.course_id
inner join {{ ref("people") }} as people on newest.person_key = people.person_key
union all
select classes.class_sourced_id, null, 'item', {{ utc_text("max(reads.read_since)") }}
from {{ ref("classes") }} as classes
inner join {{ ref("course_reads") }} as reads
    on classes.program_id = reads.program_id and reads.course_id in (classes.course_id, '*')
inner join lacking_items on classes.program_id = lacking_items.program_id and classes.course_id = lacking_items.course_id
group by classes.class_sourced_id
