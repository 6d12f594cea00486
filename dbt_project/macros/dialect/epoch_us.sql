{#  Microseconds since 1970-01-01 00:00 (UTC, or the wall clock of a naive timestamp) as a whole number.  #}
{% macro epoch_us(moment) -%}
    {{ adapter.dispatch('epoch_us', 'lakehouse')(moment) }}
{%- endmacro %}

{% macro duckdb__epoch_us(moment) -%}
    epoch_us({{ moment }})
{%- endmacro %}

{% macro spark__epoch_us(moment) -%}
    unix_micros(cast({{ moment }} as timestamp))
{%- endmacro %}
