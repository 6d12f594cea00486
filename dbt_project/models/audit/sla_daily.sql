{{ config(unique_key='sla_day_key', order_by=['day_utc', 'contract_id']) }}

with

checks as (

    select
        contract_id,
        cast(checked_at as date) as day_utc,
        sla_met

    from {{ source('ops', 'gaps') }}

    where {{ quoted(['partition']) }} is null

),

days as (

    select
        contract_id,
        day_utc,
        count(*) as checks,
        sum(case when sla_met then 1 else 0 end) as met,
        sum(case when sla_met is null then 1 else 0 end) as unknown_checks

    from checks

    group by contract_id, day_utc

),

final as (

    select
        concat(contract_id, ' ', cast(day_utc as {{ dbt.type_string() }})) as sla_day_key,
        contract_id,
        day_utc,
        cast(checks as integer) as checks,
        cast(met as integer) as met,
        cast(unknown_checks as integer) as unknown_checks,
        cast(100.0 * met / nullif(checks - unknown_checks, 0) as double) as compliance_percentage

    from days

)

select * from final
