{#
    A calendar of whole weeks with 13 weeks per quarter. A week belongs to the fiscal year of its fourth day, so a year
    begins with the week that starts nearest to its first day. With January and Monday these are the ISO weeks. A 53rd
    week belongs to the last period.
#}

{#  The fourth day of the week of a day; weeks begin on `first_weekday`, 1 Monday to 7 Sunday.  #}
{% macro mid_week(day, first_weekday) -%}
    {{ add_days(day, '3 - (' ~ iso_weekday(day) ~ ' - ' ~ first_weekday ~ ' + 7) % 7') }}
{%- endmacro %}

{#  The week of the year, from 1, of a week's fourth day.  #}
{% macro retail_week(mid_week, start) -%}
    cast(floor(({{ epoch_days(mid_week) }} - {{ epoch_days(fiscal_year_start(mid_week, start)) }}) / 7) + 1 as integer)
{%- endmacro %}

{#  The quarter of a week.  #}
{% macro retail_quarter(week) -%}
    cast(least(floor(({{ week }} - 1) / 13) + 1, 4) as integer)
{%- endmacro %}

{#  The period of a week, 1 to 12. `pattern` has the numbers of weeks of a quarter's periods, such as [4, 4, 5].  #}
{% macro retail_period(week, pattern) -%}
    {%- set in_quarter = week ~ ' - 13 * (' ~ retail_quarter(week) ~ ' - 1)' -%}
    cast(
        3 * ({{ retail_quarter(week) }} - 1) + case
            when {{ in_quarter }} <= {{ pattern[0] }} then 1
            when {{ in_quarter }} <= {{ pattern[0] + pattern[1] }} then 2
            else 3
        end as integer
    )
{%- endmacro %}
