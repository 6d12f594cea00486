{#  Days since 1970-01-01 as a whole number.  #}
{% macro epoch_days(day) -%}
    {{ adapter.dispatch('epoch_days', 'lakehouse')(day) }}
{%- endmacro %}

{% macro duckdb__epoch_days(day) -%}
    ({{ day }} - date '1970-01-01')
{%- endmacro %}

{% macro spark__epoch_days(day) -%}
    unix_date({{ day }})
{%- endmacro %}
