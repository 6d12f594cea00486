"""The shop's orders and their lines, with all states of each order; `orders_at(moment)` gives those of a moment.

`role` says when an order appears in the shop's tables: `plain` and `newest` when it is placed, the others only on
day 2 (`visible_from`): `late` (committed long after its time), `tied` (same time as the newest change of day 1)
and `lost_day` (a whole day that was imported afterwards with its old times). Moments are UTC.
"""

from __future__ import annotations

from ingestion.lake.duck import Connection

_ORDERS = """
create table orders as
with days as (
    select day::date as day, 100 + 30 * (dayofweek(day) in (5, 6))::integer - 25 * (dayofweek(day) = 0)::integer
        + date_diff('day', getvariable('first_order'), day) // 4
        + 180 * (day between date '2025-11-28' and date '2025-11-30')::integer
        + 60 * (day between date '2025-12-08' and date '2025-12-22')::integer as weight
    from range(getvariable('first_order'), day_2() + interval 1 day, interval 1 day) as d(day)
),

shares as (
    select day, weight, sum(weight) over (order by day)::bigint as upto,
        sum(weight) filter (day < day_1()::date) over ()::bigint as total
    from days
),

numbered as (
    select day, unnest(range(
        getvariable('orders') * (upto - weight) // total, getvariable('orders') * upto // total)) as i
    from shares
),

timed as (
    select i, day + span(
        (one_of(getvariable('hours'), 'order.hour', i) + 3) % 24 * 3600 + pick('order.second', i, 3600),
        pick('order.fraction', i, 1000000)) as drawn_at
    from numbered
),

placed as (
    select i, if(is_reserved(drawn_at), drawn_at - interval 10 minutes, drawn_at) as drawn_at
    from timed where drawn_at < day_2()
),

ranked as (
    select *, drawn_at < day_1() as is_day_1,
        row_number() over (partition by drawn_at < day_1() order by drawn_at desc, i) as from_end
    from placed
),

roles as (
    select *, case
        when is_day_1 and from_end = 1 then 'tied'
        when is_day_1 and from_end <= 3 then 'late'
        when from_end = if(is_day_1, 4, 1) then 'newest'
        when drawn_at::date = getvariable('lost_day') then 'lost_day'
        else 'plain' end as role
    from ranked
),

moved as (
    select i, role, case role
        when 'late' then last_tick(day_1()) - getvariable('late_by') - to_seconds(from_end)
        when 'tied' then last_tick(day_1())
        when 'newest' then last_tick(if(is_day_1, day_1(), day_2()))
        else drawn_at end as ordered_at
    from roles
),

placed_by as (
    select m.*, c.customer_rank as known_customers
    from moved m asof join customers c on m.ordered_at >= c.created_at
),

bought as (
    select *,
        -- New customers buy more in their first days.
        if(pick('order.customer.new', i, 100) < 15,
            known_customers - pick('order.customer', i, least(known_customers, 15)),
            favourite('order.customer', i, known_customers)) as customer_rank,
        one_of(getvariable('channels'), 'order.channel', i) as channel
    from placed_by
)

select 500000 + row_number() over (order by ordered_at, i) as order_id, c.customer_id, ordered_at::date as order_date,
    channel,
    case when channel = 'STORE' or pick('order.free', i, 100) < 30 then 0
        else 990 + 10 * pick('order.fee', i, 500) end as shipping_fee,
    ordered_at, role,
    if(role in ('plain', 'newest'), ordered_at, day_1() + interval 9 hours) as visible_from
from bought b join customers c using (customer_rank)
"""

# A late or tied order stays unpaid on day 2, because its next state would bring it into the window.
_EVENTS = """
create table order_events as
with fates as (
    select *, role not in ('tied', 'late') as moves_on,
        channel <> 'STORE' and pick('order.cancelled', order_id, 100) < 6 as is_cancelled,
        ordered_at + span(case when channel = 'STORE' then 60 + pick('order.paid', order_id, 240)
            when pick('order.slip', order_id, 100) < 20 then 7200 + pick('order.paid', order_id, 86400)
            else 60 + pick('order.paid', order_id, 540) end, pick('order.paid.fraction', order_id, 1000000)) as paid_at,
        ordered_at + span(95400 + pick('order.cancel', order_id, 86400), 0) as cancelled_at
    from orders
),

legs as (
    select *, paid_at + span(21600 + pick('order.shipped', order_id, 151200), 0) as shipped_at,
        paid_at + span(if(channel = 'STORE', 600 + pick('order.handed', order_id, 3000),
            21600 + 151200 + 43200 + pick('order.delivered', order_id, 604800)), 0) as delivered_at,
        pick('order.cancel.unpaid', order_id, 100) < 60 as is_unpaid
    from fates
)

select order_id, 'NEW' as status, ordered_at as happened_at from legs
union all
select order_id, 'PAID', moment_for(paid_at) from legs where moves_on and not (is_cancelled and is_unpaid)
union all
select order_id, 'SHIPPED', moment_for(shipped_at) from legs where moves_on and not is_cancelled and channel <> 'STORE'
union all
select order_id, 'DELIVERED', moment_for(delivered_at) from legs where moves_on and not is_cancelled
union all
select order_id, 'CANCELLED', moment_for(cancelled_at) from legs where moves_on and is_cancelled
"""

_LINES = """
create table order_lines as
with known as (
    select o.order_id, p.sales_rank as known_products
    from orders o asof join (from products where is_active) p on o.ordered_at >= p.created_at
),

lines as (
    select order_id, known_products, unnest(range(1, 1 + [1, 1, 2, 2, 2, 3, 3, 3, 4, 4][
        1 + pick('order.lines', order_id, 10)])) as line_number
    from known
),

-- Steps of less than a fifth of the catalogue: no product twice in an order.
chosen as (
    select order_id, line_number, order_id * 10 + line_number as i,
        1 + (favourite('line.product', order_id, known_products) - 1
            + (line_number - 1) * (1 + pick('line.step', order_id, greatest(known_products // 5 - 1, 1)))
        ) % known_products as sales_rank
    from lines
)

select order_id, line_number, p.product_id,
    case when p.category = 'Grocery' then 1 + pick('line.quantity', i, 12)
        else [1, 1, 1, 1, 1, 1, 2, 2, 3, 4][1 + pick('line.quantity', i, 10)] end as quantity,
    if(pick('line.discounted', i, 100) < 18, 5 * (1 + pick('line.discount', i, 4)), 0) as discount_percent
from chosen join products p using (sales_rank)
"""

# Day 2 makes invalid: two delivered orders (an unknown status), the change time of one order, and five lines.
_FLAWS = """
create table order_flaws as
(
    select order_id, 'unknown_status' as flaw
    from orders join order_events using (order_id)
    where role = 'plain' and status = 'DELIVERED'
        and happened_at between day_1() - interval 10 days and day_1() - interval 12 hours
    order by pick('flaw.status', order_id, 1000000), order_id limit 2
)
union all
(
    select order_id, 'broken_clock' from orders where role = 'plain' and ordered_at >= day_1()
    order by pick('flaw.clock', order_id, 1000000), order_id limit 1
);

insert into order_events
select order_id, 'RETURNED', day_1() + interval 8 hours + span(pick('flaw.returned', order_id, 28800), 0)
from order_flaws where flaw = 'unknown_status';

create table line_flaws as
with ranked as (
    select order_id, line_number, row_number() over (
        order by pick('flaw.line', order_id * 10 + line_number, 1000000), order_id, line_number) as n
    from order_lines join orders using (order_id)
    where role = 'plain' and ordered_at >= day_1() and order_id not in (select order_id from order_flaws)
)
select order_id, line_number, ['no_quantity', 'no_quantity', 'no_product', 'no_product', 'twice'][n] as flaw
from ranked where n <= 5;
"""

_ORDERS_AT = """
create macro orders_at(moment) as table
with states as (
    select order_id, arg_max(status, happened_at) as status, max(happened_at) as happened_at
    from order_events where happened_at < moment
    group by order_id
)
select o.order_id, o.customer_id, o.order_date, s.status, o.channel, 'BRL' as currency,
    money(o.shipping_fee) as shipping_fee, o.ordered_at,
    if(f.order_id is null, s.happened_at, getvariable('broken_clock')) as updated_at
from orders o join states s using (order_id)
left join order_flaws f on f.order_id = o.order_id and f.flaw = 'broken_clock'
where o.visible_from < moment
"""

_PRICED_LINES = """
create table priced_lines as
select l.*, o.ordered_at, o.order_date, o.visible_from, p.price, f.flaw
from order_lines l join orders o on o.order_id = l.order_id
asof join product_prices p on p.product_id = l.product_id and o.ordered_at >= p.happened_at
left join line_flaws f on f.order_id = l.order_id and f.line_number = l.line_number
"""

_ITEMS_AT = """
create macro order_items_at(moment) as table
select order_id, line_number, if(flaw = 'no_product', null, product_id) as product_id,
    if(flaw = 'no_quantity', 0, quantity) as quantity, money(price) as unit_price,
    money(if(flaw = 'no_quantity', 0, quantity * price * discount_percent // 100)) as discount,
    order_date, ordered_at as updated_at
from priced_lines, range(if(flaw = 'twice', 2, 1)) as copies(n)
where visible_from < moment
"""


def create_orders(connection: Connection) -> None:
    """Create `orders`, `order_events`, `order_lines` and the flaws of day 2 (needs `customers` and `products`)."""
    for statement in (_ORDERS, _EVENTS, _LINES, _FLAWS, _ORDERS_AT):
        connection.execute(statement)


def create_order_items(connection: Connection) -> None:
    """Give each line the price in force when it was ordered (needs all prices); create `order_items_at(moment)`."""
    connection.execute(_PRICED_LINES)
    connection.execute(_ITEMS_AT)
