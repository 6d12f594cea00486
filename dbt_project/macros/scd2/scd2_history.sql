{#
    The history computed from a log of events: one row per version of a key.

    Order within a key: `_eff`, `_seq`, deletes last, `_batch`, `_row`. Of several events with one `_eff` the last
    applies. An event that changes neither a tracked column nor the deletion creates no version; a delete of a key
    without earlier event is dropped. A deleted version has the last known values.

    `events` is a relation or a subquery in brackets with Bronze's columns. `seeds`, in the same form, are versions of a
    history: at most one per key, older than all events of that key. They represent the events before.

    Without seeds the input is a whole log, in which most keys may have one event. Such an event is a version as it is;
    only the events of keys that have several (`repeated`) are ranked and compared, which sorts them.
#}
{% macro scd2_history(events, facts, seeds=none) -%}
{%- set key = quoted(facts.key) -%}
{%- set others = facts.columns | reject('in', facts.key) | list -%}
{%- set row_hash = hash_hex(sparse_text(facts.tracked, facts.types)) -%}
{%- set sk = hash_hex(sparse_text(facts.key, facts.types) ~ " || '@' || cast(" ~ epoch_us('_eff') ~ " as string)") -%}
with
{%- if not seeds %}

repeated as (

    select {{ key }}

    from {{ events }} as events

    group by {{ key }}

    having count(*) > 1

),
{%- endif %}

ranked as (

    select
        *,
        row_number() over (
            partition by {{ key }}, _eff
            order by _seq desc, case when _op = 'D' then 1 else 0 end desc, _batch desc, _row desc
        ) as _copy

    from {{ events }} as events
    {%- if not seeds %} semi join repeated on {{ same_key(facts.key, 'events', 'repeated') }}{% endif %}

),

states as (

    select
        {{ quoted(facts.columns) }},
        _eff,
        _op = 'D' as is_deleted,
        case when _op <> 'D' then {{ row_hash }} end as row_hash,
        false as _is_seed

    from ranked

    where _copy = 1
    {%- if seeds %}

    union all

    select
        {{ quoted(facts.columns) }},
        valid_from as _eff,
        is_deleted,
        row_hash,
        true as _is_seed

    from {{ seeds }}
    {%- endif %}

),

compared as (

    select
        *,
        lag(is_deleted) over (partition by {{ key }} order by _eff) as _was_deleted,
        lag(row_hash) over (partition by {{ key }} order by _eff) as _was_hash

    from states

),

versions as (

    select *

    from compared

    where
        _is_seed
        or (_was_deleted is null and not is_deleted)
        or is_deleted <> _was_deleted
        or (not is_deleted and row_hash <> _was_hash)

),

final as (

    select
        {% for column in facts.key %}
        {{ adapter.quote(column) }},
        {%- endfor %}
        {%- for column in others %}
        case
            when is_deleted and not _is_seed then lag({{ adapter.quote(column) }}) over (partition by {{ key }} order by _eff)
            else {{ adapter.quote(column) }}
        end as {{ adapter.quote(column) }},
        {%- endfor %}
        {{ sk }} as sk,
        _eff as valid_from,
        lead(_eff) over (partition by {{ key }} order by _eff) as valid_to,
        lead(_eff) over (partition by {{ key }} order by _eff) is null and not is_deleted as is_current,
        is_deleted,
        row_hash

    from versions

)

select {{ quoted(facts.columns) }}, sk, valid_from, valid_to, is_current, is_deleted, row_hash

from final
{%- if not seeds %}

union all

select
    {{ quoted(facts.columns) }},
    {{ sk }} as sk,
    _eff as valid_from,
    null as valid_to,
    true as is_current,
    false as is_deleted,
    {{ row_hash }} as row_hash

from {{ events }} as events
    anti join repeated on {{ same_key(facts.key, 'events', 'repeated') }}

where _op <> 'D'
{%- endif %}
{%- endmacro %}
