{#
    `name=length:value;` for every non-null column, in name order. A null writes nothing, so a new column that is
    null everywhere changes no hash; the length leaves no room for two rows with one text. One call of `concat` for all
    columns: a chain of `||` is one level of expression per column, and engines limit those.
#}
{% macro sparse_text(columns, types) -%}
    {%- for column in columns | sort -%}
        {%- set text = canonical_text(column, types) -%}
        {{ 'concat(' if loop.first }}coalesce('{{ column }}=' || cast(length({{ text }}) as string) || ':' || {{ text }} || ';', ''){{ ')' if loop.last else ',' }}
    {%- else -%}
        ''
    {%- endfor -%}
{%- endmacro %}
