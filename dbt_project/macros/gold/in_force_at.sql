{#
    True for the one version of `dimension` in force at `moment`. A moment before the first version
    (`is_first_version`) belongs to the first.

    Each side of a comparison uses one table only. With an `or` over both tables, a left join would compare every line
    with every version.
#}
{% macro in_force_at(dimension, moment) -%}
    case when {{ dimension }}.is_first_version then {{ beginning_of_time() }} else {{ dimension }}.valid_from end
            <= {{ moment }}
        and {{ moment }} < coalesce({{ dimension }}.valid_to, {{ end_of_time() }})
{%- endmacro %}
