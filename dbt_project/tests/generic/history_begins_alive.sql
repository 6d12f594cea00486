{#
    Invariant 7: the first version of a key is not deleted. Returns those that are.
#}
{% test history_begins_alive(model, source_name, table_name) %}
{%- set key = quoted(lake_facts(source_name, table_name).key) -%}
with

neighbours as (

    select
        *,
        row_number() over (partition by {{ key }} order by valid_from) as _place

    from {{ tested_rows(model, model, source_name, table_name) }} as history

)

select
    sk,
    valid_from

from neighbours

where _place = 1 and is_deleted
{% endtest %}
