{{ config(alias="lineItems") }}

select
    line_items.line_item_sourced_id as "sourcedId",
    cast(null as text) as "status",
    cast(null as text) as "dateLastModified",
    line_items.title as "title",
    line_items.description as "description",
    {{ iso_date("school_terms.starts_on") }} as "assignDate",
    -- Deadlines are each learner's own, so the line item is due on the last day of the session.
    {{ iso_date("school_terms.ends_before - 1") }} as "dueDate",
    line_items.class_sourced_id as "classSourcedId",
    {{ category_sourced_id("line_items.category") }} as "categorySourcedId",
    school_terms.grading_period_sourced_id as "gradingPeriodSourcedId",
    '0' as "resultValueMin",
    '{{ score_scale() }}' as "resultValueMax"
from {{ ref("line_items") }} as line_items
inner join {{ ref("school_terms") }} as school_terms on school_terms.is_current
