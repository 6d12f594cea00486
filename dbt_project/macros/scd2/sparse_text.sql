{#
    `name=length:value;` for every non-null column, in name order. A null writes nothing, so a new column that is
    null everywhere changes no hash; the length leaves no room for two rows with one text.
#}
{% macro sparse_text(columns, types) -%}
    {%- for column in columns | sort -%}
        {%- set text = canonical_text(column, types) -%}
        coalesce('{{ column }}=' || cast(length({{ text }}) as string) || ':' || {{ text }} || ';', '')
        {%- if not loop.last %}
            || {% endif -%}
    {%- else -%}
        ''
    {%- endfor -%}
{%- endmacro %}
