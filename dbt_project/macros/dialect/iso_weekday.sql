{#  1 Monday to 7 Sunday.  #}
{% macro iso_weekday(day) -%}
    {{ adapter.dispatch('iso_weekday', 'lakehouse')(day) }}
{%- endmacro %}

{% macro duckdb__iso_weekday(day) -%}
    isodow({{ day }})
{%- endmacro %}

{% macro spark__iso_weekday(day) -%}
    extract(dayofweek_iso from {{ day }})
{%- endmacro %}
