{#
    Invariant 2: a version has ended where the next one of its key begins. Returns the versions that have not.
#}
{% test versions_do_not_overlap(model, source_name, table_name) %}
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

where _next_from < coalesce(valid_to, {{ end_of_time() }})
{% endtest %}
