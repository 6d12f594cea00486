{#  Quoted column names as a comma-separated list, each prefixed with `alias`, if given.  #}
{% macro quoted(columns, alias=none) -%}
    {%- for column in columns -%}
        {{ alias ~ '.' if alias else '' }}{{ adapter.quote(column) }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
