{#  Which versions (`known`) a difference whose oldest new event happened at `oldest` can change, so that a reader can skip all others.  #}
{% macro scd2_reach(oldest) -%}
known.valid_to is null or known.valid_to >= {{ instant_of(oldest) }}
{%- endmacro %}
