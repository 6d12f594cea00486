{# The position of a row: its file and its row number there. #}

{#  The name of a row's file, if rows are read by a `scan` of the lake.  #}
{% macro file_of_row() -%}
    {{ adapter.dispatch('file_of_row', 'lakehouse')() }}
{%- endmacro %}

{% macro duckdb__file_of_row() -%}
    filename
{%- endmacro %}

{% macro spark__file_of_row() -%}
    _metadata.file_path
{%- endmacro %}

{#  The rows of a `scan` in brackets, with the position of each as `_file` and `_pos`. Spark merges by key and needs none.  #}
{% macro rows_with_places(scan) -%}
    {{ adapter.dispatch('rows_with_places', 'lakehouse')(scan) }}
{%- endmacro %}

{% macro duckdb__rows_with_places(scan) -%}
    (select *, filename as _file, file_row_number as _pos from {{ scan }})
{%- endmacro %}

{% macro spark__rows_with_places(scan) -%}
    (select *, '' as _file, 0 as _pos from {{ scan }})
{%- endmacro %}
