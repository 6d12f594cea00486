{#  A day as the number yyyymmdd.  #}
{% macro date_key(day) -%}
    cast(year({{ day }}) * 10000 + month({{ day }}) * 100 + day({{ day }}) as integer)
{%- endmacro %}

{#  True for a day that can be one: `span` is the pair of the first and the last. A clock that is wrong tells others.  #}
{% macro is_possible_day(day, span) -%}
    {{ day }} between date '{{ span[0] }}' and date '{{ span[1] }}'
{%- endmacro %}

{#  What a fact refers to by a day: that day in dim_date, unknown (-1) where there is none, invalid (-3) where it cannot be.  #}
{% macro date_member(day, span) -%}
    case when {{ day }} is null then -1 when {{ is_possible_day(day, span) }} then {{ date_key(day) }} else -3 end
{%- endmacro %}
