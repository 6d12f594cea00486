{#  Upper-case hexadecimal digits of a binary value.  #}
{% macro hex_of(value) -%}
    {{ adapter.dispatch('hex_of', 'lakehouse')(value) }}
{%- endmacro %}

{% macro default__hex_of(value) -%}
    hex({{ value }})
{%- endmacro %}
