select
    grades.result_sourced_id,
    grades.class_sourced_id,
    classes.school_sourced_id,

    grades.doubt as reason,
    grades.reported_percent as original_percent
from {{ ref("grades") }} as grades
inner join {{ ref("classes") }} as classes on grades.class_sourced_id = classes.class_sourced_id
where grades.doubt is not null
