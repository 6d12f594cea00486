{#  The fiscal year of a day, named after the calendar year in which it ends; it begins in the month `start`.  #}
{% macro fiscal_year(day, start) -%}
    cast(year({{ day }}) + case when {{ start }} > 1 and month({{ day }}) >= {{ start }} then 1 else 0 end as integer)
{%- endmacro %}

{#  The first day of the fiscal year of a day.  #}
{% macro fiscal_year_start(day, start) -%}
    make_date(cast(year({{ day }}) - case when month({{ day }}) < {{ start }} then 1 else 0 end as integer), {{ start }}, 1)
{%- endmacro %}
