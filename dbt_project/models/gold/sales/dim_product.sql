{{ config(unique_key='product_sk') }}

with

products as (

    select * from {{ ref('stg_products') }}

),

order_items as (

    select * from {{ ref('stg_order_items') }}

),

versions as (

    select
        sk as product_sk,
        product_id,
        sku,
        product_name,
        category,
        brand,
        unit_price,
        unit_cost,
        currency,
        is_active,
        valid_from,
        valid_to,
        is_current,
        is_deleted,
        false as is_inferred

    from products

),

inferred as (

    select
        {{ hash_hex("'inferred:' || cast(order_items.product_id as string)") }} as product_sk,
        order_items.product_id,
        cast(null as string) as sku,
        'Unknown' as product_name,
        'Unknown' as category,
        cast(null as string) as brand,
        cast(null as decimal(12, 2)) as unit_price,
        cast(null as decimal(12, 2)) as unit_cost,
        cast(null as string) as currency,
        cast(null as boolean) as is_active,
        cast(null as {{ instant_type() }}) as valid_from,
        cast(null as {{ instant_type() }}) as valid_to,
        true as is_current,
        false as is_deleted,
        true as is_inferred

    from order_items

    where
        order_items.product_id >= 1
        and not exists (select 1 from products where products.product_id = order_items.product_id)

    group by order_items.product_id

),

fixed as (

    {% for key, label in fixed_members().items() %}
    {{ fixed_member('product', key, label, {
        'sku': 'string',
        'product_name': none,
        'category': none,
        'brand': 'string',
        'unit_price': 'decimal(12, 2)',
        'unit_cost': 'decimal(12, 2)',
        'currency': 'string',
        'is_active': 'boolean',
    }) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

final as (

    select * from versions
    union all
    select * from inferred
    union all
    select * from fixed

)

select
    *,
    row_number() over (partition by product_id order by valid_from) = 1 as is_first_version

from final
