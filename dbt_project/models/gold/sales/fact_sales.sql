{{ config(
    materialized='fact',
    unique_key='sales_sk',
    order_by=['order_date_key', 'order_id'],
    computed_per='order_id',
    moment='ordered_at',
    rows_of=['stg_order_items', 'stg_orders'],
    members_of={'customer_sk': 'dim_customer', 'product_sk': 'dim_product'},
) }}

{%- set possible_days = [var('first_possible_day'), var('last_possible_day')] %}

with

order_items as (

    select * from {{ ref('stg_order_items') }} where is_current

),

orders as (

    select * from {{ ref('stg_orders') }} where is_current

),

cancellations as (

    select
        order_id,
        cast(min(valid_from) as date) as cancelled_on

    from {{ ref('stg_orders') }}

    where status = 'CANCELLED'

    group by order_id

),

customers as (

    select * from {{ ref('dim_customer') }}

),

products as (

    select * from {{ ref('dim_product') }}

),

lines as (

    select
        order_items.order_id,
        order_items.line_number,
        order_items.order_date,
        order_items.product_id,
        order_items.quantity,
        order_items.unit_price,
        order_items.discount,
        orders.order_id is not null as has_header,
        orders.customer_id,
        coalesce(orders.status, 'UNKNOWN') as order_status,
        coalesce(orders.channel, 'UNKNOWN') as channel,
        orders.currency,
        coalesce(orders.status = 'CANCELLED', false) as is_cancelled,
        cancellations.cancelled_on,
        {{ as_utc('coalesce(orders.ordered_at, cast(order_items.order_date as ' ~ wall_clock_type() ~ '))') }} as ordered_at

    from order_items

    left join orders on order_items.order_id = orders.order_id

    left join cancellations on order_items.order_id = cancellations.order_id

),

placed as (

    select
        lines.*,
        case
            when lines.has_header then {{ member_key('customers.customer_sk', 'lines.customer_id') }}
            else '-1'
        end as customer_sk,
        {{ member_key('products.product_sk', 'lines.product_id') }} as product_sk,
        {{ comparable_cost('products.unit_cost', 'products.currency', 'lines.currency') }} as unit_cost

    from lines

    left join customers
        on lines.customer_id = customers.customer_id
        and {{ in_force_at('customers', 'lines.ordered_at') }}

    left join products
        on lines.product_id = products.product_id
        and {{ in_force_at('products', 'lines.ordered_at') }}

),

measured as (

    select
        *,
        {{ units_sold('quantity', 'is_cancelled') }} as units_sold,
        {{ gross_revenue('quantity', 'unit_price', 'is_cancelled') }} as gross_revenue,
        {{ net_revenue('quantity', 'unit_price', 'discount', 'is_cancelled') }} as net_revenue,
        {{ cost_of_sales('quantity', 'unit_cost', 'is_cancelled') }} as cost_of_sales

    from placed

),

final as (

    select
        ---------- keys
        {{ hash_hex("cast(order_id as string) || '|' || cast(line_number as string)") }} as sales_sk,
        customer_sk,
        product_sk,
        {{ date_member('order_date', possible_days) }} as order_date_key,
        case when is_cancelled then {{ date_member('cancelled_on', possible_days) }} else -2 end as cancelled_date_key,

        ---------- degenerate dimensions
        order_id,
        line_number,
        order_status,
        channel,
        currency,
        is_cancelled,
        ordered_at,

        ---------- measures
        quantity,
        unit_price,
        discount,
        units_sold,
        gross_revenue,
        net_revenue,
        cost_of_sales,
        {{ gross_profit('net_revenue', 'cost_of_sales') }} as gross_profit

    from measured

)

select * from final
