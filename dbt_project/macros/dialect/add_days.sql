{#  The day `number` days after `day`; before it where the number is negative.  #}
{% macro add_days(day, number) -%}
    {{ adapter.dispatch('add_days', 'lakehouse')(day, number) }}
{%- endmacro %}

{% macro duckdb__add_days(day, number) -%}
    ({{ day }} + cast({{ number }} as integer))
{%- endmacro %}

{% macro spark__add_days(day, number) -%}
    date_add({{ day }}, cast({{ number }} as int))
{%- endmacro %}
