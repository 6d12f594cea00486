{#
    A Silver model in one line: the history of a Bronze table, whole. The materialization `scd2` runs it for the
    affected keys only where it can.
#}
{% macro scd2(source_name, table_name) -%}
    {{ scd2_history(source(source_name, table_name), lake_facts(source_name, table_name)) }}
{%- endmacro %}
