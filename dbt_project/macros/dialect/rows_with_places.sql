{#  The rows of a `scan` in brackets, with the place of each as `_file` and `_pos`. Spark merges by key and wants none.  #}
{% macro rows_with_places(scan) -%}
    {{ adapter.dispatch('rows_with_places', 'lakehouse')(scan) }}
{%- endmacro %}

{% macro duckdb__rows_with_places(scan) -%}
    (select *, filename as _file, file_row_number as _pos from {{ scan }})
{%- endmacro %}

{% macro spark__rows_with_places(scan) -%}
    (select *, '' as _file, 0 as _pos from {{ scan }})
{%- endmacro %}
