select
    order_items.order_id,
    order_items.line_number

from {{ ref('stg_order_items') }} as order_items

full outer join {{ ref('fact_sales') }} as sales
    on order_items.order_id = sales.order_id
    and order_items.line_number = sales.line_number

where
    (order_items.is_current and sales.sales_sk is null)
    or (order_items.sk is null)

group by 1, 2
