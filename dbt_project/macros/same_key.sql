{#  Equality of all key columns of two aliases; keys are never null.  #}
{% macro same_key(columns, left, right) -%}
    {%- for column in columns -%}
        {{ left }}.{{ adapter.quote(column) }} = {{ right }}.{{ adapter.quote(column) }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
