{#
    What a fact refers to by `id`: the member that was found, not applicable (-2) where the fact names none, invalid (-3)
    where no source could have such an id, unknown (-1) where the dimension has no row. Ids count from 1.
#}
{% macro member_key(found, id) -%}
    case
        when {{ id }} is null then '-2'
        when {{ id }} < 1 then '-3'
        else coalesce({{ found }}, '-1')
    end
{%- endmacro %}
