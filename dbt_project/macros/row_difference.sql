{#
    The rows by which `fresh` and `stale` differ, with `_change`: I (only in fresh), D (only in stale), U (in both, with
    another value in `columns`). Both are names of CTEs or relations whose columns `key` are unique and never null;
    `stale` also has the positions of its rows, `_file` and `_pos`.
#}
{% macro row_difference(fresh, stale, key, columns) -%}
{%- set first = adapter.quote(key[0]) -%}
select
    case when stale_rows.{{ first }} is null then 'I' when fresh_rows.{{ first }} is null then 'D' else 'U' end as _change,
    stale_rows._file,
    stale_rows._pos,
    {%- for column in key %}
    coalesce(fresh_rows.{{ adapter.quote(column) }}, stale_rows.{{ adapter.quote(column) }}) as {{ adapter.quote(column) }}
    {{- ',' if columns or not loop.last }}
    {%- endfor %}
    {%- for column in columns %}
    fresh_rows.{{ adapter.quote(column) }}{{ ',' if not loop.last }}
    {%- endfor %}

from {{ fresh }} as fresh_rows

full outer join {{ stale }} as stale_rows on {{ same_key(key, 'fresh_rows', 'stale_rows') }}

where
    stale_rows.{{ first }} is null
    or fresh_rows.{{ first }} is null
    {%- for column in columns %}
    or fresh_rows.{{ adapter.quote(column) }} is distinct from stale_rows.{{ adapter.quote(column) }}
    {%- endfor %}
{%- endmacro %}
