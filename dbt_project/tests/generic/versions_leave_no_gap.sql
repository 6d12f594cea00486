{#
    Invariant 3: the next version of a key, or its tombstone, begins where one ends; only the last has no end. Returns the
    versions after which there is nothing.
#}
{% test versions_leave_no_gap(model, source_name, table_name) %}
{%- set key = quoted(lake_facts(source_name, table_name).key) -%}
with

neighbours as (

    select
        *,
        lead(valid_from) over (partition by {{ key }} order by valid_from) as _next_from

    from {{ tested_rows(model, model, source_name, table_name) }} as history

)

select
    sk,
    valid_from,
    valid_to

from neighbours

where valid_to is not null and (_next_from is null or _next_from > valid_to)
{% endtest %}
