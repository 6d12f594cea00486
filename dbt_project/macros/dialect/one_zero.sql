{#
    Columns (pairs of name and type, see `described`) as a list to select, floats with one zero: Spark passes over the
    rows of a file that holds -0.0 where a query asks for 0.0.
#}
{% macro one_zero(columns) -%}
    {%- for name, type in columns -%}
        {%- set column = adapter.quote(name) -%}
        {%- if type in ('FLOAT', 'DOUBLE') -%}
            case when {{ column }} = 0 then cast(0 as {{ type }}) else {{ column }} end as {{ column }}
        {%- else -%}
            {{ column }}
        {%- endif -%}
        {{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
