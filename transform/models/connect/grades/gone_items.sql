with items as (
    select program_id, course_id, item_id, max(extracted_at) as seen_at
    from {{ ref("stg_coursera__item_grades") }}
    group by program_id, course_id, item_id
),

courses as (
    select items.program_id, items.course_id, max(items.seen_at) as seen_at, max(reads.read_since) as read_since
    from items
    inner join {{ ref("course_reads") }} as reads
        on items.program_id = reads.program_id and reads.course_id in (items.course_id, '*')
    group by items.program_id, items.course_id
)

select items.program_id, items.course_id, items.item_id
from items
inner join courses on items.program_id = courses.program_id and items.course_id = courses.course_id
-- If that reading showed no item of a course at all, the course is missing from the report, which says nothing about its items.
where items.seen_at < courses.read_since and courses.seen_at >= courses.read_since
