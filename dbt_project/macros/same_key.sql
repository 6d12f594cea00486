{#  A condition that all key columns of two aliases are equal. Keys are never null.  #}
{% macro same_key(columns, left, right) -%}
    {%- for column in columns -%}
        {{ left }}.{{ adapter.quote(column) }} = {{ right }}.{{ adapter.quote(column) }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
