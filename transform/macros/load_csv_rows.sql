{#-
  The rows of a mapping file, read as `connect mapping check` reads them (setup/mapping.py of connect). A spreadsheet may write CRLF, a byte order mark,
  blank lines and blanks around a cell. An empty cell is null, and `null` is a name like any other. This macro refuses what the tests of mapping.yml
  cannot find: a wrong header, rows with too few cells, wrong quotes, and control characters.

  dbt guesses the types of a seed. So agate, with which dbt reads a seed, reads the file once more here, with all cells as text.
-#}
{% macro mapping_lines(model, agate_table) %}
  {%- set columns = model.config.column_types | list -%}
  {%- set options = {"header": false, "encoding": "utf-8-sig", "strict": true} -%}
  {%- set found = namespace(text=none, line=1, header=[]) -%}
  {%- set types = agate_table.from_csv(agate_table.original_abspath, row_limit=1, **options).column_types -%}
  {%- for type in types if type.test("~neither number nor time~") %}{% set found.text = type %}{% endfor -%}
  {%- if found.text is none -%}
    {%- do wrong_line(model, 1, "the file is empty, or its header is missing: the first line has to be " ~ columns | join(",")) -%}
  {%- endif -%}
  {%- do found.text.null_values.clear() -%}
  {%- set lines = [] -%}
  {%- for row in agate_table.from_csv(agate_table.original_abspath, column_types=[found.text] * types | length, **options).rows -%}
    {%- set cells = row.values() | map("default", "", true) | map("trim") | list -%}
    {%- if loop.first -%}
      {%- set found.header = cells | map("lower") | list -%}
      {%- if found.header | sort != columns | sort -%}
        {%- do wrong_line(model, 1, "the header is wrong: the first line has to be " ~ columns | join(",")) -%}
      {%- endif -%}
    {%- elif cells | join -%}
      {%- if none in row.values() %}{% do wrong_line(model, found.line, "fewer cells than columns (" ~ columns | join(",") ~ ").") %}{% endif -%}
      {%- set line = {"line_number": found.line} -%}
      {%- for cell in cells -%}
        {%- if modules.re.search("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]", cell) -%}
          {%- do wrong_line(model, found.line, found.header[loop.index0] ~ " has a character in it that is no text: type it anew.") -%}
        {%- endif -%}
        {%- do line.update({found.header[loop.index0]: cell or none}) -%}
      {%- endfor -%}
      {%- do lines.append(line) -%}
    {%- endif -%}
    {%- set found.line = found.line + 1 + (row.values() | map("default", "", true) | join).count("\n") -%}
  {%- endfor -%}
  {{- return(lines) -}}
{% endmacro %}

{#- Stops the run and names the line of a mapping file. -#}
{% macro wrong_line(model, line, sentence) %}{% do exceptions.raise_compiler_error(model.name ~ ".csv, line " ~ line ~ ": " ~ sentence) %}{% endmacro %}

{#- dbt's own macro for the table of a seed: here the columns in the order of mapping.yml, and the line of the file on which a row begins. -#}
{% macro create_csv_table(model, agate_table) %}
  {%- set sql = "create table " ~ this.render() ~ " (" ~ quoted(model.config.column_types) | join(" text, ") ~ " text, line_number integer)" -%}
  {%- call statement("_") -%}{{ sql }}{%- endcall -%}
  {{- return(sql) -}}
{% endmacro %}

{#- dbt's own macro for the rows of a seed: here all rows are one parameter, because DuckDB's client takes milliseconds for each parameter. -#}
{% macro load_csv_rows(model, agate_table) %}
  {%- set names = quoted(model.config.column_types | list + ["line_number"]) | join(", ") -%}
  {%- if target.type == "duckdb" -%}
    {%- set types = {"line_number": "INTEGER"} -%}
    {%- for column in model.config.column_types %}{% do types.update({column: "VARCHAR"}) %}{% endfor -%}
    {%- set rows = "select unnest(from_json(?, '" ~ tojson([types]) ~ "'), recursive := true)" -%}
  {%- else -%}
    {%- set rows = "select * from json_populate_recordset(null::" ~ this.render() ~ ", cast(%s as json))" -%}
  {%- endif -%}
  {%- set sql = "insert into " ~ this.render() ~ " (" ~ names ~ ") select " ~ names ~ " from (" ~ rows ~ ") as lines" -%}
  {%- do adapter.add_query(sql, bindings=[tojson(mapping_lines(model, agate_table))], abridge_sql_log=True) -%}
  {{- return(sql) -}}
{% endmacro %}
