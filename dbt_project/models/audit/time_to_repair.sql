{{ config(unique_key='difference_id', order_by=['first_seen_at']) }}

with

states as (

    select * from {{ source('ops', 'differences') }}

),

ranked as (

    select
        *,
        row_number() over (partition by difference_id order by state_at desc) as newest_first

    from states

),

newest as (

    select * from ranked where newest_first = 1

),

confirmed as (

    select
        difference_id,
        min(state_at) as confirmed_at

    from states

    where state = 'confirmed'

    group by difference_id

),

final as (

    select
        newest.difference_id,
        newest.contract_id,
        newest.kind,
        newest.{{ quoted(['partition']) }} as partition_label,
        newest.state,
        newest.{{ quoted(['keys']) }} as differing_keys,
        newest.first_seen_at,
        confirmed.confirmed_at,
        case when newest.state in ('repaired', 'resolved_in_flight', 'waived') then newest.state_at end as closed_at,
        cast(({{ epoch_us('confirmed.confirmed_at') }} - {{ epoch_us('newest.first_seen_at') }}) / 3600000000.0 as double) as hours_to_confirm,
        case
            when newest.state = 'repaired'
                then cast(({{ epoch_us('newest.state_at') }} - {{ epoch_us('newest.first_seen_at') }}) / 3600000000.0 as double)
        end as hours_to_repair

    from newest

    left join confirmed
        on newest.difference_id = confirmed.difference_id

)

select * from final
