{#
    Invariant 3: when a version ends, the next version of its key or its tombstone begins; only the last one has no end.
    Returns the ended versions without successor at that moment.
#}
{% test versions_leave_no_gap(model, source_name, table_name) %}
{%- set key = lake_facts(source_name, table_name).key -%}
{%- set history = tested_rows(model, model, source_name, table_name) -%}
select
    sk,
    valid_from,
    valid_to

from {{ with_neighbours(history, key, {'_next_from': 'lead(valid_from)'}) }} as neighbours

where valid_to is not null and (_next_from is null or _next_from > valid_to)
{% endtest %}
