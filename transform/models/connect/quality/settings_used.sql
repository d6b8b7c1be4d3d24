{%- set settings = {
  "grade_sync": grade_sync(),
  "score_scale": score_scale(),
  "above_maximum": above_maximum(),
  "line_item_title_length": length_of("line_item_title_length"),
  "category_title_length": length_of("category_title_length"),
  "calendar": calendar(),
  "time_zone": time_zone(),
  "school_year_start": setting("school_year_start"),
  "first_school_year": first_school_year(),
  "identity": identity(),
  "id_style": id_style(),
  "name_placeholder": setting("name_placeholder"),
  "empty_classes": is_on("empty_classes") | string | lower,
  "attributes": tojson(attributes()),
  "include_invited": is_on("include_invited") | string | lower,
  "rules": "2",
} -%}
select
    {% for name, value in settings.items() -%}
    {{ literal(value) }} as {{ name }},
    {% endfor -%}
    {{ utc_text("report_refreshed_at") }} as data_as_of
from {{ ref("freshness") }}
