{#  32 lower-case hexadecimal digits of a text's MD5.  #}
{% macro hash_hex(text) -%}
    {{ adapter.dispatch('hash_hex', 'lakehouse')(text) }}
{%- endmacro %}

{% macro default__hash_hex(text) -%}
    md5({{ text }})
{%- endmacro %}
