{#
    True for the one version of `dimension` in force at `moment`. What happened before the first version
    (`is_first_version`) belongs to the first.
#}
{% macro in_force_at(dimension, moment) -%}
    ({{ dimension }}.is_first_version or {{ dimension }}.valid_from <= {{ moment }})
        and ({{ dimension }}.valid_to is null or {{ moment }} < {{ dimension }}.valid_to)
{%- endmacro %}
