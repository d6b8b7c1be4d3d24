{#- What a regular expression in lower case says of words that follow a family name and belong to it, with or without a full stop. -#}
{% macro name_suffix() %}(jr|sr|junior|senior|ii|iii|iv|vi|vii|viii|dr|phd|ph[.]d|edd|ed[.]d|esq)[.]?{% endmacro %}

{#- The same with degrees that are somebody's given name, too: they are no name where two words or more come before the comma. -#}
{% macro name_suffix_or_degree() %}(jr|sr|junior|senior|ii|iii|iv|vi|vii|viii|dr|phd|ph[.]d|edd|ed[.]d|esq|md|m[.]d|dds|dvm|cpa|rn|jd|mba|mph|msc|bsc|llm)[.]?{% endmacro %}

{#- A name without commas at its ends, and with exactly `, ` within it. -#}
{% macro commas_in_order(name) -%}
  regexp_replace(regexp_replace(replace({{ name }}, '，', ','), '( *,)+ *', ', ', 'g'), '^, |, $', '', 'g')
{%- endmacro %}
