{#  The 16 hexadecimal digits of a floating-point number as an IEEE 754 double; one zero, one NaN.  #}
{% macro float_bits(value) -%}
    {{ adapter.dispatch('float_bits', 'lakehouse')('cast(case when ' ~ value ~ ' = 0 then 0 else ' ~ value ~ ' end as double)') }}
{%- endmacro %}

{% macro duckdb__float_bits(double) -%}
    hex(cast(cast(case when isnan({{ double }}) then cast('nan' as double) else {{ double }} end as bit) as blob))
{%- endmacro %}

{% macro spark__float_bits(double) -%}
    case when {{ double }} is not null then lpad(hex(cast(reflect('java.lang.Double', 'doubleToLongBits', {{ double }}) as bigint)), 16, '0') end
{%- endmacro %}
