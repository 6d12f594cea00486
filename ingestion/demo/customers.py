"""The ERP's customers on day 1, and their changes on day 2.

Moments are UTC here; `customers_at` converts them to the ERP's wall clock.
"""

from __future__ import annotations

from ingestion.lake.duck import Connection

# Both check digits of a CPF: weights 10 to 2, then 11 to 2; the remainder 10 counts as 0.
_CPF = """
create macro cpf_check(n, digits) as
    (list_sum(list_transform(
        range(1, digits + 1), lambda p: substr(lpad(n::varchar, digits, '0'), p, 1)::bigint * (digits + 2 - p)
    ))::bigint * 10) % 11 % 10;

create macro cpf(base) as
    lpad((base * 100 + cpf_check(base, 9) * 10 + cpf_check(base * 10 + cpf_check(base, 9), 10))::varchar, 11, '0');
"""

_CUSTOMERS = """
create table customers as
with arrivals as (
    select i,
        case
            when i = getvariable('customers') - 1 then last_tick(day_1())
            when i = getvariable('customers') + getvariable('new_customers') - 1 then last_tick(day_2())
            when i >= getvariable('customers')
                then day_1() + span(3600 + pick('customer.arrival', i, 75000), i % 1000000)
            when i % 100 < 85 then getvariable('first_customer') + span(
                pick('customer.arrival', i, seconds_between(getvariable('first_customer'), getvariable('first_order'))),
                i % 1000000)
            else getvariable('first_order') + span(
                pick('customer.arrival', i, seconds_between(getvariable('first_order'), day_1()) - 7200),
                i % 1000000)
        end as created_at
    from range(getvariable('customers') + getvariable('new_customers')) as r(i)
),

drawn as (
    select i, created_at,
        row_number() over (order by created_at, i) as customer_rank,
        one_of(getvariable('first_names'), 'customer.first', i) as first_name,
        one_of(getvariable('surnames'), 'customer.middle', i) as middle_name,
        one_of(getvariable('surnames'), 'customer.last', i) as last_name,
        one_of(getvariable('segments'), 'customer.segment', i) as segment,
        one_of(getvariable('cities'), 'customer.city', i) as place,
        -- An odd step through 10^9: no two customers share a CPF.
        ((i + 1) * 387420489 + getvariable('seed') * 7919) % 1000000000 as cpf_base
    from arrivals
)

select
    100000 + customer_rank as customer_id, customer_rank,
    case when pick('customer.names', i, 4) = 0 or middle_name = last_name then first_name || ' ' || last_name
        else first_name || ' ' || middle_name || ' ' || last_name end as customer_name,
    case when pick('customer.email', i, 100) >= 5 then
        lower(strip_accents(first_name || '.' || last_name)) || pick('customer.email.number', i, 100) || '@'
        || one_of(getvariable('mail_domains'), 'customer.email.domain', i) end as email,
    case when pick('customer.phone', i, 100) >= 4 then
        '+55' || place.area_code || '9' || lpad(pick('customer.phone.number', i, 100000000)::varchar, 8, '0')
        end as phone,
    cpf(cpf_base) as tax_id, segment, place.region as region, place.city as city,
    case when pick('customer.limit', i, 100) < if(segment = 'Consumer', 45, 15) then null
        else 500 * (1 + pick('customer.limit.steps', i, 10)) * case segment
            when 'Consumer' then 1 when 'Small Business' then 10 when 'Corporate' then 100 else 40 end
        end as credit_limit,
    created_at,
    case when created_at < day_1() - interval 30 days and pick('customer.touched', i, 100) < 40
        then created_at + span(
            pick('customer.touch', i, seconds_between(created_at, day_1()) - 7200),
            pick('customer.touch.fraction', i, 1000000))
        else created_at end as updated_at
from drawn
"""

# Quiet customers have no order on day 2. Only these are deleted or made invalid, so that the day's sales stay the same.
_CUSTOMER_CHANGES = """
create table customer_changes as
with busy as (
    select distinct customer_id from orders where visible_from >= day_1() and role <> 'lost_day'
),

quiet as (
    select customer_id, row_number() over (
        order by customer_id in (select customer_id from orders) desc, pick('quiet', customer_id, 1000000), customer_id
    ) as n
    from customers
    where created_at < day_1() - interval 1 day and customer_id not in (from busy)
),

set_aside as (
    select customer_id,
        case when n <= 5 then 'deleted' when n <= 7 then 'broken_email' else 'unknown_segment' end as kind
    from quiet where n <= 8
),

others as (
    select customer_id, row_number() over (order by pick('change', customer_id, 1000000), customer_id) as n
    from customers
    where created_at < day_1() - interval 1 day and customer_id not in (select customer_id from set_aside)
),

kinds as (
    from set_aside
    union all
    select customer_id, case
        when n <= getvariable('moved_customers') then 'moved'
        when n <= getvariable('moved_customers') + getvariable('resegmented_customers') then 'segment'
        else 'segment_twice' end
    from others where n <= getvariable('moved_customers') + getvariable('resegmented_customers') + 1
),

changes as (
    select customer_id, kind, step,
        day_1() + to_hours(if(step = 1, 6, 14)) + span(
            pick('change.second', customer_id, 21600), pick('change.fraction', customer_id, 1000000)) as happened_at,
        1 + (list_position(getvariable('segment_names'), segment) - 1
            + if(kind = 'segment_twice', step, 1 + pick('change.segment', customer_id, 3))) % 4 as new_segment,
        one_of(list_filter(getvariable('cities'), lambda c: c.region <> customers.region), 'change.city', customer_id)
            as place
    from kinds join customers using (customer_id), range(1, if(kind = 'segment_twice', 3, 2)) as s(step)
)

select customer_id, kind, happened_at,
    case when kind in ('segment', 'segment_twice') then getvariable('segment_names')[new_segment]
        when kind = 'unknown_segment' then 'Reseller' end as segment,
    case when kind = 'moved' then place.region end as region,
    case when kind = 'moved' then place.city end as city,
    case when kind = 'broken_email' then 'no e-mail, call the office' end as email
from changes
"""

_CUSTOMERS_AT = """
create macro customers_at(moment) as table
with newest as (
    from customer_changes where happened_at < moment
    qualify row_number() over (partition by customer_id order by happened_at desc) = 1
)
select c.customer_id, c.customer_name, coalesce(n.email, c.email) as email, c.phone, c.tax_id,
    coalesce(n.segment, c.segment) as segment, coalesce(n.region, c.region) as region,
    coalesce(n.city, c.city) as city, c.credit_limit,
    c.created_at + getvariable('erp_offset') as created_at,
    coalesce(n.happened_at, c.updated_at) + getvariable('erp_offset') as updated_at,
    case when coalesce(n.happened_at, c.updated_at) >= day_1()
        then ['BASIC', 'PLUS', 'PREMIER'][1 + pick('customer.tier', c.customer_id, 3)] end as loyalty_tier
from customers c left join newest n using (customer_id)
where c.created_at < moment and n.kind is distinct from 'deleted'
"""


def create_customers(connection: Connection) -> None:
    """Create `customers`: those of day 1 and the new ones of day 2, in their first state."""
    connection.execute(_CPF)
    connection.execute(_CUSTOMERS)


def create_customer_changes(connection: Connection) -> None:
    """Create `customer_changes` of day 2 (needs `orders`) and `customers_at(moment)`, the table before a moment."""
    connection.execute(_CUSTOMER_CHANGES)
    connection.execute(_CUSTOMERS_AT)
