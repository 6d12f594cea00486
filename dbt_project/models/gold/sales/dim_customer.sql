{{ config(unique_key='customer_sk') }}

with

customers as (

    select * from {{ ref('stg_customers') }}

),

orders as (

    select * from {{ ref('stg_orders') }}

),

versions as (

    select
        sk as customer_sk,
        customer_id,
        {{ masked('email', salt=mask_salt()) }} as email_hash,
        segment,
        region,
        city,
        credit_limit,
        created_at,
        valid_from,
        valid_to,
        is_current,
        is_deleted,
        false as is_inferred

    from customers

),

inferred as (

    select
        {{ hash_hex("'inferred:' || cast(orders.customer_id as string)") }} as customer_sk,
        orders.customer_id,
        cast(null as string) as email_hash,
        'Unknown' as segment,
        'Unknown' as region,
        cast(null as string) as city,
        cast(null as decimal(14, 2)) as credit_limit,
        cast(null as {{ wall_clock_type() }}) as created_at,
        cast(null as {{ instant_type() }}) as valid_from,
        cast(null as {{ instant_type() }}) as valid_to,
        true as is_current,
        false as is_deleted,
        true as is_inferred

    from orders

    where
        orders.customer_id >= 1
        and not exists (select 1 from customers where customers.customer_id = orders.customer_id)

    group by orders.customer_id

),

fixed as (

    {% for key, label in fixed_members().items() %}
    {{ fixed_member('customer', key, label, {
        'email_hash': 'string',
        'segment': none,
        'region': none,
        'city': 'string',
        'credit_limit': 'decimal(14, 2)',
        'created_at': wall_clock_type(),
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
    row_number() over (partition by customer_id order by valid_from) = 1 as is_first_version

from final
