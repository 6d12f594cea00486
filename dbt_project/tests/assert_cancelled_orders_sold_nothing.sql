select sales_sk

from {{ ref('fact_sales') }}

where is_cancelled and (units_sold <> 0 or net_revenue <> 0 or gross_profit <> 0)
