{#
    Invariant 5: a version differs from the one before it, in its tracked columns or in being deleted. Returns those that
    do not.
#}
{% test neighbours_differ(model, source_name, table_name) %}
{%- set key = lake_facts(source_name, table_name).key -%}
{%- set history = tested_rows(model, model, source_name, table_name) -%}
select
    sk,
    valid_from,
    valid_to

from {{ with_neighbours(history, key, {'_last_hash': 'lag(row_hash)', '_last_deleted': 'lag(is_deleted)'}) }} as neighbours

where is_deleted = _last_deleted and row_hash is not distinct from _last_hash
{% endtest %}
