{{ config(unique_key='date_key') }}

{%- set start = var('fiscal_year_start_month') | int %}
{%- set pattern = var('retail_weeks_per_period') %}
{%- set possible_days = [var('first_possible_day'), var('last_possible_day')] %}
{%- if pattern | length != 3 or pattern | sum != 13 %}
    {{ exceptions.raise_compiler_error('retail_weeks_per_period: must be three numbers of weeks that make 13, such as [4, 4, 5]. Nothing was written.') }}
{%- endif %}

with

order_items as (

    select * from {{ ref('stg_order_items') }}

),

orders as (

    select * from {{ ref('stg_orders') }}

),

events as (

    select order_date as date_day from order_items
    union all
    select cast(valid_from as date) as date_day from orders where status = 'CANCELLED'

),

span as (

    select
        cast(date_trunc('year', min(date_day)) as date) as first_day,
        cast(date_trunc('year', max(date_day)) + interval 1 year - interval 1 day as date) as last_day

    from events

    where {{ is_possible_day('date_day', possible_days) }}

),

days as (

    {{ days_between('first_day', 'last_day') }}

    from span

),

weeks as (

    select
        date_day,
        {{ mid_week('date_day', var('retail_week_starts_on') | int) }} as mid_week

    from days

),

retail as (

    select
        *,
        {{ retail_week('mid_week', start) }} as retail_week

    from weeks

),

calendar as (

    select
        {{ date_key('date_day') }} as date_key,
        date_day,
        cast(year(date_day) as integer) as calendar_year,
        cast(quarter(date_day) as integer) as calendar_quarter,
        cast(month(date_day) as integer) as calendar_month,
        cast(day(date_day) as integer) as day_of_month,
        cast({{ iso_weekday('date_day') }} as integer) as iso_day_of_week,
        cast(weekofyear(date_day) as integer) as iso_week,
        cast({{ iso_year('date_day') }} as integer) as iso_year,
        {{ fiscal_year('date_day', start) }} as fiscal_year,
        cast((month(date_day) - {{ start }} + 12) % 12 + 1 as integer) as fiscal_period,
        {{ fiscal_year('mid_week', start) }} as retail_year,
        {{ retail_quarter('retail_week') }} as retail_quarter,
        {{ retail_period('retail_week', pattern) }} as retail_period,
        retail_week,
        {{ iso_weekday('date_day') }} >= 6 as is_weekend,
        'Day' as member

    from retail

),

fixed as (

    {% for key, label in fixed_members().items() %}
    select
        cast({{ key }} as integer) as date_key,
        cast(null as date) as date_day,
        {%- for column in [
            'calendar_year', 'calendar_quarter', 'calendar_month', 'day_of_month', 'iso_day_of_week', 'iso_week',
            'iso_year', 'fiscal_year', 'fiscal_period', 'retail_year', 'retail_quarter', 'retail_period', 'retail_week'
        ] %}
        cast(null as integer) as {{ column }},
        {%- endfor %}
        cast(null as boolean) as is_weekend,
        '{{ label }}' as member
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

final as (

    select * from calendar
    union all
    select * from fixed

)

select * from final
