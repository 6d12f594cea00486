{#  The instant that is this many microseconds after 1970-01-01 00:00 UTC, as a constant.  #}
{% macro instant_of(microseconds) -%}
    {{ adapter.dispatch('instant_of', 'lakehouse')(microseconds) }}
{%- endmacro %}

{% macro duckdb__instant_of(microseconds) -%}
    make_timestamptz({{ microseconds }})
{%- endmacro %}

{% macro spark__instant_of(microseconds) -%}
    timestamp_micros({{ microseconds }})
{%- endmacro %}
