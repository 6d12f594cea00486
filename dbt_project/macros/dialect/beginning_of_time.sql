{#  An instant before all others.  #}
{% macro beginning_of_time() -%}
    {{ adapter.dispatch('beginning_of_time', 'lakehouse')() }}
{%- endmacro %}

{% macro duckdb__beginning_of_time() -%}
    timestamptz '-infinity'
{%- endmacro %}

{% macro spark__beginning_of_time() -%}
    timestamp '0001-01-01 00:00:00+00:00'
{%- endmacro %}
