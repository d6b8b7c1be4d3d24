{{ config(alias="lineItems") }}

select
    item.line_item_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    rtrim(left(coalesce({{ attribute("lineItems.title") }}, item.title), {{ setting("line_item_title_length") }})) as "title",
    {{ attribute("lineItems.description") }} as "description",
    cast(school_terms.starts_on as text) as "assignDate",
    -- Each learner has other deadlines, so the line item is due on the last day of the term.
    cast(school_terms.ends_before - 1 as text) as "dueDate",
    item.class_sourced_id as "classSourcedId",
    item.category_sourced_id as "categorySourcedId",
    school_terms.grading_period_sourced_id as "gradingPeriodSourcedId",
    '0' as "resultValueMin",
    '{{ setting("score_scale") }}' as "resultValueMax"
from {{ ref("line_items") }} as item
inner join {{ ref("school_terms") }} as school_terms on school_terms.is_current
inner join {{ ref("classes") }} as class on item.class_sourced_id = class.class_sourced_id
inner join {{ ref("courses") }} as course on class.course_id = course.course_id
inner join {{ ref("program_schools") }} as program on class.program_id = program.program_id
inner join {{ ref("schools") }} as school on class.school_sourced_id = school.org_sourced_id
