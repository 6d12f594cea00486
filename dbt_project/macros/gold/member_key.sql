{#
    The dimension key of a fact with `id`: the member that was found; not applicable (-2) if the id is null; invalid (-3)
    if the id is below 1, which no source has; unknown (-1) if the dimension has no row.
#}
{% macro member_key(found, id) -%}
    case
        when {{ id }} is null then '-2'
        when {{ id }} < 1 then '-3'
        else coalesce({{ found }}, '-1')
    end
{%- endmacro %}
