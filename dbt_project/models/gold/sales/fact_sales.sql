{{ config(unique_key='sales_sk') }}

with

order_items as (

    select * from {{ ref('stg_order_items') }} where is_current

),

orders as (

    select * from {{ ref('stg_orders') }} where is_current

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
        orders.customer_id,
        coalesce(orders.status, 'UNKNOWN') as order_status,
        coalesce(orders.channel, 'UNKNOWN') as channel,
        orders.currency,
        coalesce(orders.status = 'CANCELLED', false) as is_cancelled,
        {{ as_utc('coalesce(orders.ordered_at, cast(order_items.order_date as ' ~ wall_clock_type() ~ '))') }} as ordered_at

    from order_items

    left join orders on order_items.order_id = orders.order_id

),

final as (

    select
        ---------- keys
        {{ hash_hex("cast(lines.order_id as string) || '|' || cast(lines.line_number as string)") }} as sales_sk,
        coalesce(customers.customer_sk, '-1') as customer_sk,
        coalesce(products.product_sk, '-1') as product_sk,
        cast(
            year(lines.order_date) * 10000 + month(lines.order_date) * 100 + day(lines.order_date) as integer
        ) as order_date_key,

        ---------- degenerate dimensions
        lines.order_id,
        lines.line_number,
        lines.order_status,
        lines.channel,
        lines.currency,
        lines.is_cancelled,
        lines.ordered_at,

        ---------- measures
        lines.quantity,
        lines.unit_price,
        lines.discount,
        {{ units_sold('lines.quantity', 'lines.is_cancelled') }} as units_sold,
        {{ gross_revenue('lines.quantity', 'lines.unit_price', 'lines.is_cancelled') }} as gross_revenue,
        {{ net_revenue('lines.quantity', 'lines.unit_price', 'lines.discount', 'lines.is_cancelled') }} as net_revenue,
        {{ cost_of_sales('lines.quantity', 'products.unit_cost', 'lines.is_cancelled') }} as cost_of_sales,
        cast(
            {{ net_revenue('lines.quantity', 'lines.unit_price', 'lines.discount', 'lines.is_cancelled') }}
            - {{ cost_of_sales('lines.quantity', 'products.unit_cost', 'lines.is_cancelled') }} as decimal(18, 2)
        ) as gross_profit

    from lines

    left join customers
        on lines.customer_id = customers.customer_id
        and {{ in_force_at('customers', 'lines.ordered_at') }}

    left join products
        on lines.product_id = products.product_id
        and {{ in_force_at('products', 'lines.ordered_at') }}

)

select * from final
