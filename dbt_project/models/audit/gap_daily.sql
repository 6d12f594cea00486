{{ config(unique_key='gap_day_key', order_by=['day_utc', 'contract_id']) }}

with

checks as (

    select
        *,
        cast(checked_at as date) as day_utc

    from {{ source('ops', 'gaps') }}

    where {{ quoted(['partition']) }} is null

),

ranked as (

    select
        *,
        row_number() over (partition by contract_id, day_utc order by checked_at desc, run_id desc) as newest_first

    from checks

),

last_of_day as (

    select * from ranked where newest_first = 1

),

days as (

    select
        contract_id,
        day_utc,
        count(*) as checks,
        max(gap_percentage) as worst_gap_percentage,
        max(freshness_lag_hours) as worst_freshness_lag_hours,
        max(
            case severity
                when 'CRITICAL' then 4 when 'UNKNOWN' then 3 when 'WARNING' then 2 when 'OK*' then 1 else 0
            end
        ) as worst_severity

    from checks

    group by contract_id, day_utc

),

final as (

    select
        concat(days.contract_id, ' ', cast(days.day_utc as {{ dbt.type_string() }})) as gap_day_key,
        days.contract_id,
        days.day_utc,
        cast(days.checks as integer) as checks,
        last_of_day.checked_at as last_checked_at,
        last_of_day.source_count,
        last_of_day.lake_count,
        last_of_day.quarantined_count,
        last_of_day.sync_gap,
        last_of_day.gap_percentage,
        last_of_day.missing_keys,
        last_of_day.extra_keys,
        last_of_day.differing_keys,
        last_of_day.missing_partitions,
        last_of_day.freshness_lag_hours,
        last_of_day.data_quality_score,
        last_of_day.severity,
        last_of_day.state,
        days.worst_gap_percentage,
        days.worst_freshness_lag_hours,
        case days.worst_severity
            when 4 then 'CRITICAL' when 3 then 'UNKNOWN' when 2 then 'WARNING' when 1 then 'OK*' else 'OK'
        end as worst_severity

    from days

    inner join last_of_day
        on days.contract_id = last_of_day.contract_id
        and days.day_utc = last_of_day.day_utc

)

select * from final
