{#-
  The rows of a mapping file. Spreadsheets write it with CRLF, a byte order mark, blank lines and blanks around a cell; an empty cell is
  null, and `null` is somebody's name. dbt-duckdb's own way guesses the dialect, and so fails on some files; agate's takes `null` for nothing.
-#}
{% macro duckdb__load_csv_rows(model, agate_table) %}
  {%- set columns = agate_table.column_names -%}
  {%- set sql -%}
    insert into {{ this.render() }} ({{ columns | map("tojson") | join(", ") }})
    select {% for column in columns %}nullif(trim("{{ column }}"), ''){{ ", " if not loop.last }}{% endfor %}
    from read_csv(
      '{{ adapter.get_seed_file_path(model) | replace("'", "''") }}',
      auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', encoding = 'utf-8', parallel = false,
      columns = { {%- for column in columns %}'{{ column }}': 'VARCHAR'{{ ", " if not loop.last }}{% endfor -%} }
    )
    where coalesce({% for column in columns %}nullif(trim("{{ column }}"), ''){{ ", " if not loop.last }}{% endfor %}) is not null
  {%- endset -%}
  {%- do adapter.add_query(sql) -%}
  {{- return(sql) -}}
{% endmacro %}

{#- PostgreSQL cannot see the file: agate reads it once more, and this time all its texts are what they are. -#}
{% macro postgres__load_csv_rows(model, agate_table) %}
  {%- set columns = agate_table.column_names -%}
  {%- for type in agate_table.column_types -%}{%- do type.null_values.clear() -%}{%- endfor -%}
  {%- set as_saved = agate_table.from_csv(agate_table.original_abspath, column_types=agate_table.column_types, encoding="utf-8-sig") -%}
  {%- set sql -%}
    insert into {{ this.render() }} ({{ columns | map("tojson") | join(", ") }})
    select {% for column in columns %}nullif({{ trimmed('"' ~ column ~ '"') }}, ''){{ ", " if not loop.last }}{% endfor %}
    from unnest({{ (["cast(%s as text[])"] * columns | length) | join(", ") }}) as saved ({{ columns | map("tojson") | join(", ") }})
    where coalesce({% for column in columns %}nullif({{ trimmed('"' ~ column ~ '"') }}, ''){{ ", " if not loop.last }}{% endfor %}) is not null
  {%- endset -%}
  {%- set cells = [] -%}
  {%- for column in as_saved.columns -%}{%- do cells.append(column.values() | list) -%}{%- endfor -%}
  {%- do adapter.add_query(sql, bindings=cells, abridge_sql_log=True) -%}
  {{- return(sql) -}}
{% endmacro %}
