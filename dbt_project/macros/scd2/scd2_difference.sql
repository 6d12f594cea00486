{#
    The changes that bring a history up to date with its log: rows to insert (I), update (U) and delete (D) in `target`,
    which has the positions of its rows as `_file` and `_pos`. A new current version is written into the file of the
    version that it ends.

    Only keys with events of batches after `since` change, and of these only the versions in force at their first new
    event or later. The version before that event represents all earlier events, so neither older events nor older
    versions are read. `oldest` is the earliest moment of all new events, in microseconds since 1970; as a constant it
    lets the reader skip files of Bronze and of closed history.
#}
{% macro scd2_difference(events, target, facts, since, oldest) -%}
{%- set key = quoted(facts.key) -%}
{%- set state = ['valid_from', 'valid_to', 'is_current', 'is_deleted', 'row_hash'] -%}
with

affected as (

    select
        {{ key }},
        min(_eff) as _first

    from {{ events }}

    where _batch > {{ since }}

    group by {{ key }}

),

stale as (

    select history.*

    from {{ target }} as history

    inner join affected on {{ same_key(facts.key, 'history', 'affected') }}

    where history.is_current

    union all

    select history.*

    from {{ target }} as history

    inner join affected on {{ same_key(facts.key, 'history', 'affected') }}

    where not history.is_current and history.valid_to is null

    union all

    select history.*

    from {{ target }} as history

    inner join affected
        on {{ same_key(facts.key, 'history', 'affected') }}
        and history.valid_to >= affected._first

    where not history.is_current and history.valid_to >= {{ instant_of(oldest) }}

),

seeds as (

    select stale.*

    from stale

    inner join affected
        on {{ same_key(facts.key, 'stale', 'affected') }}
        and stale.valid_from < affected._first

),

events_since as (

    select events.*

    from {{ events }} as events

    inner join affected
        on {{ same_key(facts.key, 'events', 'affected') }}
        and events._eff >= affected._first

    where events._eff >= {{ instant_of(oldest) }}

),

fresh as (

    {{ scd2_history('events_since', facts, seeds='seeds') | indent(4) }}

),

ended as (

    select
        {{ key }},
        _file,
        _pos

    from stale

    where is_current

),

difference as (

    {{ row_difference('fresh', 'stale', ['sk'], facts.columns + state) | indent(4) }}

)

select
    difference._change,
    case when difference._change = 'I' and difference.is_current then ended._file else difference._file end as _file,
    case when difference._change = 'I' and difference.is_current then ended._pos else difference._pos end as _pos,
    {%- for column in facts.columns + ['sk'] + state %}
    difference.{{ adapter.quote(column) }}{{ ',' if not loop.last }}
    {%- endfor %}

from difference

left join ended on {{ same_key(facts.key, 'difference', 'ended') }}
{%- endmacro %}
