{#
    What a history lacks against its log: rows to insert (I), update (U) and delete (D) in `target`.

    Only keys with events of batches after `since` are touched, and of those only what begins at the newest live
    version before their first new event: from there on the fold has all the state it needs, so the result is the
    one a rebuild would give.
#}
{% macro scd2_difference(events, target, facts, since) -%}
{%- set key = quoted(facts.key) -%}
{%- set stored = facts.columns + ['valid_from', 'valid_to', 'is_current', 'is_deleted', 'row_hash'] -%}
with

affected as (

    select
        {{ key }},
        min(_eff) as _first

    from {{ events }}

    where _batch > {{ since }}

    group by {{ key }}

),

cut as (

    select
        {{ quoted(facts.key, 'affected') }},
        max(history.valid_from) as _from

    from affected

    left join {{ target }} as history
        on {{ same_key(facts.key, 'affected', 'history') }}
        and history.valid_from < affected._first
        and not history.is_deleted

    group by {{ quoted(facts.key, 'affected') }}

),

events_since as (

    select events.*

    from {{ events }} as events

    inner join cut
        on {{ same_key(facts.key, 'events', 'cut') }}
        and (cut._from is null or events._eff >= cut._from)

),

fresh as (

    {{ scd2_history('events_since', facts) | indent(4) }}

),

stale as (

    select history.*

    from {{ target }} as history

    inner join cut
        on {{ same_key(facts.key, 'history', 'cut') }}
        and (cut._from is null or history.valid_from >= cut._from)

)

{{ row_difference('fresh', 'stale', 'sk', stored) }}
{%- endmacro %}
