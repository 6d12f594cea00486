{#  A text as a literal; for settings and JSON, never for values of rows.  #}
{% macro text_of(text) -%}
    {{ adapter.dispatch('text_of', 'lakehouse')(text) }}
{%- endmacro %}

{% macro duckdb__text_of(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}

{% macro spark__text_of(text) -%}
    '{{ text | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}
