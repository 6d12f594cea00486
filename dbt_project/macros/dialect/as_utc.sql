{#  The instant that a naive timestamp shows when it is read as UTC.  #}
{% macro as_utc(moment) -%}
    {{ adapter.dispatch('as_utc', 'lakehouse')(moment) }}
{%- endmacro %}

{% macro duckdb__as_utc(moment) -%}
    ({{ moment }} at time zone 'UTC')
{%- endmacro %}

{% macro spark__as_utc(moment) -%}
    to_utc_timestamp({{ moment }}, 'UTC')
{%- endmacro %}
