{#  Column names as a comma-separated list, quoted, each behind `alias` if one is given.  #}
{% macro quoted(columns, alias=none) -%}
    {%- for column in columns -%}
        {{ alias ~ '.' if alias else '' }}{{ adapter.quote(column) }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
