with current_rows as (
    {{ newest_rows(source("coursera", "item_grades"), ["program_id", "external_id", "course_id", "item_id"],
        first=possible("changed_at") ~ " desc nulls last") }}
),

renamed as (
    select
        cast(program_id as text) as program_id,
        cast(external_id as text) as external_id,
        cast(course_id as text) as course_id,
        cast(item_id as text) as item_id,
        cast(module_id as text) as module_id,
        cast(lesson_id as text) as lesson_id,

        cast(item_name as text) as item_name,
        cast(item_type as text) as item_type,
        cast(module_name as text) as module_name,
        cast(lesson_name as text) as lesson_name,
        item_risk_flags as risk_flags,

        cast(item_grade as double precision) as item_grade_percent,
        cast(item_weight as double precision) as item_weight_percent,
        cast(item_order as bigint) as item_order,

        cast(is_item_passed as boolean) as is_passed,

        {{ moment("item_deadline") }} as due_at,
        {{ possible("changed_at") }} as changed_at,
        cast(row_problems as text) as row_problems,
        {{ moment("_sdc_extracted_at") }} as extracted_at
    from current_rows
)

select * from renamed
