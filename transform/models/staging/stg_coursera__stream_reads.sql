with current_rows as (
    {{ newest_rows(source("coursera", "stream_reads"), ["stream", "program_id"]) }}
),

renamed as (
    select
        cast(stream as text) as stream,
        cast(program_id as text) as program_id,

        cast(left_out_for as text) as left_out_for,
        cast(covered as text) as covered,

        cast(rows_read as bigint) as rows_read,
        cast(rows_repaired as bigint) as rows_repaired,
        cast(rows_left_out as bigint) as rows_left_out,
        cast(rows_outranked as bigint) as rows_outranked,

        {{ moment("began_at") }} as began_at,
        {{ moment("read_at") }} as read_at,
        {{ moment("report_updated_at") }} as report_updated_at,
        {{ moment("_sdc_extracted_at") }} as extracted_at,

        cast(_sdc_sequence as bigint) as sequence,
        cast(_sdc_sync_started_at as bigint) as sync_started_at
    from current_rows
)

select * from renamed
