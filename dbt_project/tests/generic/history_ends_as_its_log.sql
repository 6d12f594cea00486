{#
    Invariant 11: the last event of a key in Bronze and the end of its history agree: present or deleted, and with the same
    row hash. Returns one row per key that differs.
#}
{% test history_ends_as_its_log(model, source_name, table_name) %}
{%- set facts = lake_facts(source_name, table_name) -%}
with

moments as (

    select
        *,
        row_number() over (
            partition by {{ quoted(facts.key) }}, _eff
            order by _seq desc, case when _op = 'D' then 1 else 0 end desc, _batch desc, _row desc
        ) as _copy

    from {{ tested_rows(source(source_name, table_name), model, source_name, table_name) }} as events

),

ordered as (

    select
        *,
        row_number() over (partition by {{ quoted(facts.key) }} order by _eff desc) as _place,
        sum(case when _op = 'D' then 0 else 1 end) over (partition by {{ quoted(facts.key) }}) as _lives

    from moments

    where _copy = 1

),

log_end as (

    select
        {{ quoted(facts.key) }},
        _op = 'D' as is_deleted,
        case when _op <> 'D' then {{ hash_hex(sparse_text(facts.tracked, facts.types)) }} end as row_hash

    from ordered

    where _place = 1 and _lives > 0

),

history_end as (

    select * from {{ tested_rows(model, model, source_name, table_name) }} as history where valid_to is null

)

select coalesce(history_end.sk, 'missing') as sk

from log_end

full outer join history_end on {{ same_key(facts.key, 'log_end', 'history_end') }}

where
    log_end.is_deleted is distinct from history_end.is_deleted
    or log_end.row_hash is distinct from history_end.row_hash
{% endtest %}
