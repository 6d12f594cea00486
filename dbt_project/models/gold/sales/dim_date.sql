{{ config(unique_key='date_key') }}

{%- set start = var('fiscal_year_start_month') | int %}

with

order_items as (

    select * from {{ ref('stg_order_items') }}

),

span as (

    select
        cast(date_trunc('year', min(order_date)) as date) as first_day,
        cast(date_trunc('year', max(order_date)) + interval 1 year - interval 1 day as date) as last_day

    from order_items

),

days as (

    {{ days_between('first_day', 'last_day') }}

    from span

),

calendar as (

    select
        cast(year(date_day) * 10000 + month(date_day) * 100 + day(date_day) as integer) as date_key,
        date_day,
        cast(year(date_day) as integer) as calendar_year,
        cast(quarter(date_day) as integer) as calendar_quarter,
        cast(month(date_day) as integer) as calendar_month,
        cast(day(date_day) as integer) as day_of_month,
        cast({{ iso_weekday('date_day') }} as integer) as iso_day_of_week,
        cast(weekofyear(date_day) as integer) as iso_week,
        cast({{ iso_year('date_day') }} as integer) as iso_year,
        cast(year(date_day) + case when {{ start }} > 1 and month(date_day) >= {{ start }} then 1 else 0 end as integer)
            as fiscal_year,
        cast((month(date_day) - {{ start }} + 12) % 12 + 1 as integer) as fiscal_period,
        {{ iso_weekday('date_day') }} >= 6 as is_weekend,
        'Day' as member

    from days

),

fixed as (

    {% for key, label in fixed_members().items() %}
    select
        cast({{ key }} as integer) as date_key,
        cast(null as date) as date_day,
        cast(null as integer) as calendar_year,
        cast(null as integer) as calendar_quarter,
        cast(null as integer) as calendar_month,
        cast(null as integer) as day_of_month,
        cast(null as integer) as iso_day_of_week,
        cast(null as integer) as iso_week,
        cast(null as integer) as iso_year,
        cast(null as integer) as fiscal_year,
        cast(null as integer) as fiscal_period,
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
