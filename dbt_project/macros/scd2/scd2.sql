{#
    A Silver model in one line: the complete history of a Bronze table. The materialization `scd2` computes it for the
    changed keys only, if it can.
#}
{% macro scd2(source_name, table_name) -%}
    {{ scd2_history(source(source_name, table_name), lake_facts(source_name, table_name)) }}
{%- endmacro %}
