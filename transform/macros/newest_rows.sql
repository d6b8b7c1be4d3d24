{#- The newest raw row per key, unless the loader has marked it as removed upstream. -#}
{% macro newest_rows(relation, key, removed=false) %}
  select * from (
    select *, row_number() over (partition by {{ key | join(", ") }} order by _sdc_sequence desc, _sdc_extracted_at desc) as newest
    from {{ relation }}
  ) as ranked
  where newest = 1{% if not removed %} and _sdc_deleted_at is null{% endif %}
{% endmacro %}
