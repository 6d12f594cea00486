{#
    `name=length:value;` for every column that is not null, in the order of names. A null adds nothing, so a new column
    that is null everywhere changes no hash. The lengths ensure that different rows have different texts. One call of
    `concat` for all columns, because a chain of `||` nests one level per column and engines limit nesting.
#}
{% macro sparse_text(columns, types) -%}
    {%- for column in columns | sort -%}
        {%- set text = canonical_text(column, types) -%}
        {{ 'concat(' if loop.first }}coalesce('{{ column }}=' || cast(length({{ text }}) as string) || ':' || {{ text }} || ';', ''){{ ')' if loop.last else ',' }}
    {%- else -%}
        ''
    {%- endfor -%}
{%- endmacro %}
