{#
    `name=length:value;` for every column that is not null, in the order of names. A null adds nothing, so a new column
    that is null everywhere changes no hash. The lengths ensure that different rows have different texts. One call of
    `concat` for all columns, because a chain of `||` nests one level per column and engines limit nesting.
#}
{% macro sparse_text(columns, types) -%}
    {{- adapter.dispatch('sparse_text', 'lakehouse')(columns, types) -}}
{%- endmacro %}

{% macro default__sparse_text(columns, types) -%}
    {%- for column in columns | sort -%}
        {%- set text = canonical_text(column, types) -%}
        {{ 'concat(' if loop.first }}coalesce('{{ column }}=' || cast(length({{ text }}) as string) || ':' || {{ text }} || ';', ''){{ ')' if loop.last else ',' }}
    {%- else -%}
        ''
    {%- endfor -%}
{%- endmacro %}

{#  DuckDB's `concat` skips nulls, so all parts of all columns are arguments of one call: half the time.  #}
{% macro duckdb__sparse_text(columns, types) -%}
    {%- for column in columns | sort -%}
        {%- set text = canonical_text(column, types) -%}
        {%- set there = 'case when ' ~ adapter.quote(column) ~ ' is not null then ' -%}
        {{ 'concat(' if loop.first }}{{ there }}'{{ column }}=' end, length({{ text }}), {{ there }}':' end, {{ text }}, {{ there }}';' end{{ ')' if loop.last else ', ' }}
    {%- else -%}
        ''
    {%- endfor -%}
{%- endmacro %}
