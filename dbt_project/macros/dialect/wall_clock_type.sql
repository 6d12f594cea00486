{#  The type of what a clock on the wall shows, in no zone.  #}
{% macro wall_clock_type() -%}
    {{ adapter.dispatch('wall_clock_type', 'lakehouse')() }}
{%- endmacro %}

{% macro duckdb__wall_clock_type() -%}
    timestamp
{%- endmacro %}

{% macro spark__wall_clock_type() -%}
    timestamp_ntz
{%- endmacro %}
