{#
    A condition for the versions (`known`) that a difference can change whose oldest new event happened at `oldest`. The
    reader skips all others.
#}
{% macro scd2_reach(oldest) -%}
known.valid_to is null or known.valid_to >= {{ instant_of(oldest) }}
{%- endmacro %}
