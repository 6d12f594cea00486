{#
    Invariant 2: a version ends when the next one of its key begins, or before. Returns the versions that end later.
#}
{% test versions_do_not_overlap(model, source_name, table_name) %}
{%- set key = lake_facts(source_name, table_name).key -%}
{%- set history = tested_rows(model, model, source_name, table_name) -%}
select
    sk,
    valid_from,
    valid_to

from {{ with_neighbours(history, key, {'_next_from': 'lead(valid_from)'}) }} as neighbours

where _next_from < coalesce(valid_to, {{ end_of_time() }})
{% endtest %}
