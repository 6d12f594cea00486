{#
    One of the fixed members as a row of a versioned dimension of `entity`: its keys, `columns` in their order, then the
    columns that every such dimension has. A column without a type has the member's label; others are null.
#}
{% macro fixed_member(entity, key, label, columns) -%}
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
{%- endmacro %}
