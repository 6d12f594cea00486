{#
    The rows by which `fresh` and `stale` differ, with `_change`: I (only in fresh), D (only in stale), U (in both, with
    another value in `columns`). Both are names of CTEs or relations with the unique column `key`; `stale` also has the
    positions of its rows, `_file` and `_pos`.
#}
{% macro row_difference(fresh, stale, key, columns) -%}
select
    case when stale_rows.{{ key }} is null then 'I' when fresh_rows.{{ key }} is null then 'D' else 'U' end as _change,
    stale_rows._file,
    stale_rows._pos,
    coalesce(fresh_rows.{{ key }}, stale_rows.{{ key }}) as {{ key }},
    {%- for column in columns %}
    fresh_rows.{{ adapter.quote(column) }}{{ ',' if not loop.last }}
    {%- endfor %}

from {{ fresh }} as fresh_rows

full outer join {{ stale }} as stale_rows on fresh_rows.{{ key }} = stale_rows.{{ key }}

where
    stale_rows.{{ key }} is null
    or fresh_rows.{{ key }} is null
    {%- for column in columns %}
    or fresh_rows.{{ adapter.quote(column) }} is distinct from stale_rows.{{ adapter.quote(column) }}
    {%- endfor %}
{%- endmacro %}
