{#
    Invariant 7: the first version of a key is not deleted. Returns those that are.
#}
{% test history_begins_alive(model, source_name, table_name) %}
{%- set key = lake_facts(source_name, table_name).key -%}
{%- set history = tested_rows(model, model, source_name, table_name) -%}
select
    sk,
    valid_from

from {{ with_neighbours(history, key, {'_place': 'row_number()'}) }} as neighbours

where _place = 1 and is_deleted
{% endtest %}
