{#  An instant after all others.  #}
{% macro end_of_time() -%}
    {{ adapter.dispatch('end_of_time', 'lakehouse')() }}
{%- endmacro %}

{% macro duckdb__end_of_time() -%}
    timestamptz 'infinity'
{%- endmacro %}

{% macro spark__end_of_time() -%}
    timestamp '9999-12-31 23:59:59.999999+00:00'
{%- endmacro %}
