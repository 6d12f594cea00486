{#  The type of a moment that all clocks agree on.  #}
{% macro instant_type() -%}
    {{ adapter.dispatch('instant_type', 'lakehouse')() }}
{%- endmacro %}

{% macro duckdb__instant_type() -%}
    timestamp with time zone
{%- endmacro %}

{% macro spark__instant_type() -%}
    timestamp
{%- endmacro %}
