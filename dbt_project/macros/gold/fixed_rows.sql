{#
    The fixed members as rows of a dimension of `entity`: its keys, then `columns` in their order, then what every
    versioned dimension has. A column shows the member's label where its type is none, else it is null of that type.
#}
{% macro fixed_rows(entity, columns) -%}
    {%- for key, label in fixed_members().items() %}
    select
        '{{ key }}' as {{ entity }}_sk,
        cast({{ key }} as bigint) as {{ entity }}_id,
        {%- for name, type in columns.items() %}
        {{ "'" ~ label ~ "'" if type is none else 'cast(null as ' ~ type ~ ')' }} as {{ name }},
        {%- endfor %}
        cast(null as {{ instant_type() }}) as valid_from,
        cast(null as {{ instant_type() }}) as valid_to,
        true as is_current,
        false as is_deleted,
        false as is_inferred
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
