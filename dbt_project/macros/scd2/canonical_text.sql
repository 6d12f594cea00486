{#
    One exact text per value, the same on every engine: numbers with their declared scale, moments as microseconds and
    days as days since 1970, booleans as 1 and 0, floats as their bits (engines format 1e20 and 0.1 differently). Null for a null.
#}
{% macro canonical_text(column, types) -%}
    {%- set arrow = types[column] -%}
    {%- set column = adapter.quote(column) -%}
    {%- if arrow.startswith('timestamp') -%}
        cast({{ epoch_us(column) }} as string)
    {%- elif arrow.startswith('date') -%}
        cast({{ epoch_days(column) }} as string)
    {%- elif arrow == 'bool' -%}
        case when {{ column }} then '1' when not {{ column }} then '0' end
    {%- elif 'binary' in arrow -%}
        {{ hex_of(column) }}
    {%- elif arrow in ('float', 'double') -%}
        {{ float_bits(column) }}
    {%- elif 'string' in arrow -%}
        {{ column }}
    {%- else -%}
        cast({{ column }} as string)
    {%- endif -%}
{%- endmacro %}
