{#  A day as the number yyyymmdd.  #}
{% macro date_key(day) -%}
    cast(year({{ day }}) * 10000 + month({{ day }}) * 100 + day({{ day }}) as integer)
{%- endmacro %}

{#  True if a day is possible: `span` is the pair of the first and last one. Wrong clocks may give days outside it.  #}
{% macro is_possible_day(day, span) -%}
    {{ day }} between date '{{ span[0] }}' and date '{{ span[1] }}'
{%- endmacro %}

{#  The date key of a fact: the day in dim_date, unknown (-1) if there is none, invalid (-3) if the day is impossible.  #}
{% macro date_member(day, span) -%}
    case when {{ day }} is null then -1 when {{ is_possible_day(day, span) }} then {{ date_key(day) }} else -3 end
{%- endmacro %}
