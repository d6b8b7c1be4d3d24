{{ config(severity="warn") }}
-- The two reports show the final grade on different scales and with different delays: more than half a point apart is worth a look.
select enrollment_sourced_id, grade_0_to_1, gradebook_grade_percent
from {{ ref("enrollments") }}
where is_completed and abs(grade_0_to_1 * 100 - gradebook_grade_percent) > 0.5
