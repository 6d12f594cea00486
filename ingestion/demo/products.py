"""The ERP's products and their prices over time. Amounts are whole cents, moments UTC until `products_at`."""

from __future__ import annotations

from ingestion.lake.duck import Connection

_PRODUCTS = """
create table products as
with drawn as (
    select i,
        getvariable('goods')[1 + i % len(getvariable('goods'))] as kind,
        i // len(getvariable('goods')) as series,
        case when i % 10 > 0 then getvariable('first_customer') + span(
                pick('product.arrival', i, seconds_between(getvariable('first_customer'), getvariable('first_order'))),
                i % 1000000)
            else getvariable('first_order') + span(
                pick('product.arrival', i, seconds_between(getvariable('first_order'), day_1()) - 172800),
                i % 1000000)
        end as created_at
    from range(getvariable('products')) as r(i)
),

named as (
    select *, 1000 + row_number() over (order by created_at, i) as product_id,
        case when pick('product.brand', i, 100) >= 4 then one_of(kind.brands, 'product.brand.name', i) end as brand,
        getvariable('variants')[1 + series % len(getvariable('variants'))] as variant,
        series // len(getvariable('variants')) as edition,
        100 * (kind.low + pick('product.price', i, kind.high - kind.low + 1)) - 10 as price,
        created_at >= getvariable('first_order') or pick('product.active', i, 100) >= 5 as is_active
    from drawn
)

select product_id,
    kind.letters || '-' || lpad((10000 + product_id)::varchar, 5, '0') as sku,
    concat_ws(' ', brand, kind.good, variant, if(edition > 0, edition + 1, null)) as product_name,
    kind.category as category, brand, price, price * (45 + pick('product.cost', i, 34)) // 100 as cost,
    is_active, created_at,
    case when is_active then row_number() over (partition by is_active order by created_at, i) end as sales_rank
from named
"""

# The price of a third of the products was raised once before day 1.
_PRICES = """
create table product_prices as
select product_id, created_at as happened_at, price, cost from products
union all
select product_id,
    greatest(created_at, getvariable('first_order')) + span(
        3600 + pick('price.at', product_id,
            seconds_between(greatest(created_at, getvariable('first_order')), day_1()) - 7200),
        pick('price.fraction', product_id, 1000000)),
    price * (103 + pick('price.rise', product_id, 10)) // 100, cost
from products where is_active and pick('price.moves', product_id, 100) < 35
"""

# Quiet products are on no order line of day 2.
_CHANGES = """
create table product_changes as
with busy as (
    select distinct product_id
    from order_lines join orders using (order_id)
    where visible_from >= day_1() and role <> 'lost_day'
),

quiet as (
    select product_id, row_number() over (
        order by product_id in (select product_id from order_lines) desc, pick('quiet', product_id, 1000000), product_id
    ) as n
    from products where is_active and product_id not in (from busy)
),

set_aside as (
    select product_id, case when n <= 3 then 'deleted' else 'negative_price' end as kind from quiet where n <= 4
),

others as (
    select product_id, row_number() over (order by pick('change', product_id, 1000000), product_id) as n
    from products where is_active and product_id not in (select product_id from set_aside)
),

kinds as (
    from set_aside
    union all
    select product_id, if(n <= getvariable('repriced_products'), 'price', 'price_twice')
    from others where n <= getvariable('repriced_products') + 1
),

newest_price as (
    from product_prices qualify row_number() over (partition by product_id order by happened_at desc) = 1
)

select product_id, kind,
    day_1() + to_hours(if(step = 1, 6, 14)) + span(
        pick('change.second', product_id, 21600), pick('change.fraction', product_id, 1000000)) as happened_at,
    case
        when kind = 'negative_price' then -price
        when kind = 'price_twice' then price * if(step = 1, 108, 95) // 100
        when pick('change.down', product_id, 3) = 0 then price * (90 + pick('change.price', product_id, 7)) // 100
        else price * (104 + pick('change.price', product_id, 9)) // 100
    end as price,
    case when kind = 'price' and pick('change.cost', product_id, 2) = 0 then cost * 103 // 100 else cost end as cost
from kinds join newest_price using (product_id), range(1, if(kind = 'price_twice', 3, 2)) as s(step)
"""

_DAY_2_PRICES = """
insert into product_prices select product_id, happened_at, price, cost from product_changes where kind <> 'deleted'
"""

_PRODUCTS_AT = """
create macro products_at(moment) as table
with in_force as (
    from product_prices where happened_at < moment
    qualify row_number() over (partition by product_id order by happened_at desc) = 1
)
select p.product_id, p.sku, p.product_name, p.category, p.brand,
    money(f.price) as unit_price, money(f.cost) as unit_cost, 'BRL' as currency, p.is_active::integer as is_active,
    p.created_at + getvariable('erp_offset') as created_at, f.happened_at + getvariable('erp_offset') as updated_at
from products p join in_force f using (product_id)
where p.product_id not in (select product_id from product_changes where kind = 'deleted' and happened_at < moment)
"""


def create_products(connection: Connection) -> None:
    """Create `products` and `product_prices`, the prices in force up to day 1."""
    connection.execute(_PRODUCTS)
    connection.execute(_PRICES)


def create_product_changes(connection: Connection) -> None:
    """Create `product_changes` of day 2 (needs `order_lines`), add its prices, create `products_at(moment)`."""
    connection.execute(_CHANGES)
    connection.execute(_DAY_2_PRICES)
    connection.execute(_PRODUCTS_AT)
