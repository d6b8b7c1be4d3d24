with current_rows as (
    {{ newest_rows(source("coursera", "contents"), ["id"]) }}
),

renamed as (
    select
        cast(id as text) as content_key,
        cast(content_id as text) as content_id,
        cast(content_type as text) as content_type,

        cast(name as text) as content_name,
        cast(description as text) as content_description,
        cast(slug as text) as content_slug,
        cast(language_code as text) as language_code,
        cast(difficulty_level as text) as difficulty_level,
        subtitle_language_codes,
        instructors,
        partners,
        programs,
        extra_metadata,
        changes,

        {{ impossible(["last_updated_at"]) }} as impossible_moments,

        {{ possible("last_updated_at") }} as author_updated_at,

        cast(row_problems as text) as row_problems
    from current_rows
    cross join {{ ref("run_time") }}
    where cast(is_removed as boolean) is not true
)

select * from renamed
