{#
    Invariant 5: a version differs from the one before it, in its tracked columns or in being deleted. Returns those that
    do not.
#}
{% test neighbours_differ(model, source_name, table_name) %}
{%- set key = quoted(lake_facts(source_name, table_name).key) -%}
with

neighbours as (

    select
        *,
        lag(row_hash) over (partition by {{ key }} order by valid_from) as _last_hash,
        lag(is_deleted) over (partition by {{ key }} order by valid_from) as _last_deleted

    from {{ tested_rows(model, model, source_name, table_name) }} as history

)

select
    sk,
    valid_from,
    valid_to

from neighbours

where is_deleted = _last_deleted and row_hash is not distinct from _last_hash
{% endtest %}
