{#  Which of `parts` parts a text falls into, from 0; the same on every run of one engine.  #}
{% macro part_of(text, parts) -%}
    {{ adapter.dispatch('part_of', 'lakehouse')(text, parts) }}
{%- endmacro %}

{% macro duckdb__part_of(text, parts) -%}
    cast(hash({{ text }}) % {{ parts }} as integer)
{%- endmacro %}

{% macro spark__part_of(text, parts) -%}
    cast(pmod(xxhash64({{ text }}), {{ parts }}) as int)
{%- endmacro %}
