{#
    The invariants of a history: every interval runs forward, the next version begins where one ends (no gap, no
    overlap), the last is open, the first is not deleted, neighbours differ, and `is_current` marks the open live one.
    Returns one row per broken version.
#}
{% test history_is_sound(model, key) %}
with

neighbours as (

    select
        *,
        lead(valid_from) over (partition by {{ quoted(key) }} order by valid_from) as _next_from,
        lag(row_hash) over (partition by {{ quoted(key) }} order by valid_from) as _last_hash,
        lag(is_deleted) over (partition by {{ quoted(key) }} order by valid_from) as _last_deleted

    from {{ model }}

)

select
    sk,
    valid_from,
    valid_to

from neighbours

where
    valid_to <= valid_from
    or valid_to is distinct from _next_from
    or (_last_deleted is null and is_deleted)
    or (is_deleted and _last_deleted)
    or (not is_deleted and not _last_deleted and row_hash is not distinct from _last_hash)
    or is_current <> (valid_to is null and not is_deleted)
{% endtest %}
