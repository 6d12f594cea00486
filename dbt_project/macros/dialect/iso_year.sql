{#  The year that the day's ISO week belongs to.  #}
{% macro iso_year(day) -%}
    {{ adapter.dispatch('iso_year', 'lakehouse')(day) }}
{%- endmacro %}

{% macro duckdb__iso_year(day) -%}
    isoyear({{ day }})
{%- endmacro %}

{% macro spark__iso_year(day) -%}
    extract(yearofweek from {{ day }})
{%- endmacro %}
