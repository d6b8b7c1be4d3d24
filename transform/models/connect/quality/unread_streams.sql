-- The job full-reconcile reads every stream once a week, so eight days are one day more.
select reads.stream, max(reads.read_at) as read_at
from {{ ref("stg_coursera__stream_reads") }} as reads
cross join {{ ref("run_time") }} as run_time
group by reads.stream, run_time.run_at
having max(reads.read_at) < run_time.run_at - interval '8 days'
