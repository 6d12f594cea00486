{#  64 lower-case hexadecimal digits of a text's SHA-256.  #}
{% macro sha256_hex(text) -%}
    {{ adapter.dispatch('sha256_hex', 'lakehouse')(text) }}
{%- endmacro %}

{% macro duckdb__sha256_hex(text) -%}
    sha256({{ text }})
{%- endmacro %}

{% macro spark__sha256_hex(text) -%}
    sha2({{ text }}, 256)
{%- endmacro %}
