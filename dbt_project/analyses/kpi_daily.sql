{#
    The business figures on the first page of `lakehouse serve`: columns day, kpi, unit, value. The page runs this query
    by DuckDB when the ledger has changed. The newest day is left out because it is still being filled.
#}
with

sales as (

    select
        fact_sales.*,
        dim_date.date_day

    from {{ ref('fact_sales') }} as fact_sales

    inner join {{ ref('dim_date') }} as dim_date on fact_sales.order_date_key = dim_date.date_key

),

last_day as (

    select max(date_day) as newest from sales

),

days as (

    select
        sales.date_day,
        count(distinct order_id) as orders,
        sum(net_revenue) as net_revenue,
        sum(gross_profit) as gross_profit,
        sum(units_sold) as units,
        count(distinct customer_sk) as customers

    from sales, last_day

    where sales.date_day between last_day.newest - interval 31 days and last_day.newest - interval 1 day

    group by sales.date_day

)

select date_day as day, 'Orders' as kpi, '' as unit, orders as value from days
union all
select date_day, 'Net revenue', 'BRL', net_revenue from days
union all
select date_day, 'Gross profit', 'BRL', gross_profit from days
union all
select date_day, 'Units sold', '', units from days
union all
select date_day, 'Active customers', '', customers from days
