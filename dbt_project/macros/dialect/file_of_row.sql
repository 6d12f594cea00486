{#  The name of the file that a row lies in, where rows are read by a `scan` of the lake.  #}
{% macro file_of_row() -%}
    {{ adapter.dispatch('file_of_row', 'lakehouse')() }}
{%- endmacro %}

{% macro duckdb__file_of_row() -%}
    filename
{%- endmacro %}

{% macro spark__file_of_row() -%}
    _metadata.file_path
{%- endmacro %}
