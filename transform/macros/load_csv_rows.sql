{#-
  The rows of a mapping file, read as `connect mapping check` reads them (setup/mapping.py of connect). A spreadsheet may write CRLF, a byte order mark,
  blank lines and blanks around a cell. An empty cell is null, and `null` is a name like any other. This macro refuses what the tests of mapping.yml
  cannot find: a wrong header, rows with too few cells, wrong quotes, and control characters.

  dbt guesses the types of a seed. So agate, with which dbt reads a seed, reads the file once more here, with all cells as text.
-#}
{% macro mapping_lines(model, agate_table) %}
  {%- set columns = model.config.column_types | list -%}
  {%- set file = model.name ~ ".csv" -%}
  {%- set wanted = "the first line has to be " ~ columns | join(",") -%}
  {%- set path = agate_table.original_abspath -%}
  {%- set found = namespace(text=none, line=1) -%}
  {%- set first_line = agate_table.from_csv(path, header=false, row_limit=1, encoding="utf-8-sig", strict=true) -%}
  {%- for type in first_line.column_types if type.test("~neither number nor time~") -%}{%- set found.text = type -%}{%- endfor -%}
  {%- if found.text is none -%}
    {%- do exceptions.raise_compiler_error(file ~ ", line 1: the file is empty, or its header is missing: " ~ wanted) -%}
  {%- endif -%}
  {%- do found.text.null_values.clear() -%}
  {%- set saved = agate_table.from_csv(
    path, header=false, column_types=[found.text] * first_line.column_types | length, encoding="utf-8-sig", strict=true) -%}
  {%- set header = [] -%}
  {%- set lines = [] -%}
  {%- for row in saved.rows -%}
    {%- set cells = row.values() | list -%}
    {%- if loop.first -%}
      {%- for cell in cells -%}{%- do header.append((cell or "") | trim | lower) -%}{%- endfor -%}
      {%- if header | sort != columns | sort -%}
        {%- do exceptions.raise_compiler_error(file ~ ", line 1: the header is wrong: " ~ wanted) -%}
      {%- endif -%}
    {%- elif cells | map("default", "", true) | map("trim") | join -%}
      {%- set line = {"line_number": found.line} -%}
      {%- for cell in cells -%}
        {%- if cell is none -%}
          {%- do exceptions.raise_compiler_error(
            file ~ ", line " ~ found.line ~ ": fewer cells than columns (" ~ columns | join(",") ~ ").") -%}
        {%- elif modules.re.search("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]", cell | trim) -%}
          {%- do exceptions.raise_compiler_error(
            file ~ ", line " ~ found.line ~ ": " ~ header[loop.index0] ~ " has a character in it that is no text: type it anew.") -%}
        {%- endif -%}
        {%- do line.update({header[loop.index0]: cell | trim or none}) -%}
      {%- endfor -%}
      {%- do lines.append(line) -%}
    {%- endif -%}
    {%- set found.line = found.line + 1 + (cells | map("default", "", true) | join).count("\n") -%}
  {%- endfor -%}
  {{- return(lines) -}}
{% endmacro %}

{#- Creates the table of a mapping file: its columns, in the order of mapping.yml, and the line of the file on which a row begins. -#}
{% macro create_mapping_table(model) %}
  {%- set sql -%}
    create table {{ this.render() }} ({% for column in model.config.column_types %}{{ adapter.quote(column) }} text, {% endfor %}line_number integer)
  {%- endset -%}
  {%- call statement("_") -%}{{ sql }}{%- endcall -%}
  {{- return(sql) -}}
{% endmacro %}

{% macro duckdb__create_csv_table(model, agate_table) %}{{ return(create_mapping_table(model)) }}{% endmacro %}

{% macro postgres__create_csv_table(model, agate_table) %}{{ return(create_mapping_table(model)) }}{% endmacro %}

{#- All rows are one parameter, because DuckDB's client takes milliseconds for each parameter. -#}
{% macro duckdb__load_csv_rows(model, agate_table) %}
  {%- set types = {"line_number": "INTEGER"} -%}
  {%- for column in model.config.column_types -%}{%- do types.update({column: "VARCHAR"}) -%}{%- endfor -%}
  {%- set sql -%}
    insert into {{ this.render() }} by name select unnest(from_json(?, '{{ tojson([types]) }}'), recursive := true)
  {%- endset -%}
  {%- do adapter.add_query(sql, bindings=[tojson(mapping_lines(model, agate_table))], abridge_sql_log=True) -%}
  {{- return(sql) -}}
{% endmacro %}

{% macro postgres__load_csv_rows(model, agate_table) %}
  {%- set names = quoted(model.config.column_types | list + ["line_number"]) | join(", ") -%}
  {%- set sql -%}
    insert into {{ this.render() }} ({{ names }})
    select {{ names }} from json_populate_recordset(null::{{ this.render() }}, cast(%s as json))
  {%- endset -%}
  {%- do adapter.add_query(sql, bindings=[tojson(mapping_lines(model, agate_table))], abridge_sql_log=True) -%}
  {{- return(sql) -}}
{% endmacro %}
