{#
    The rows of a history in brackets, with further `columns`: a dict of names and window functions over the versions of
    the same key, such as `lead(valid_from)`.
#}
{% macro with_neighbours(history, key, columns) -%}
(
    select
        *,
        {%- for name, function in columns.items() %}
        {{ function }} over (partition by {{ quoted(key) }} order by valid_from) as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}

    from {{ history }} as history
)
{%- endmacro %}
