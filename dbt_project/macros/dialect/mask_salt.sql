{#
    The salt of masked values: the environment's LAKEHOUSE_MASK_SALT, handed over as a variable of the session.
    Spelled out, it would stand in dbt's artifacts, logs and documentation.
#}
{% macro mask_salt() -%}
    {{ adapter.dispatch('mask_salt', 'lakehouse')() }}
{%- endmacro %}

{% macro duckdb__mask_salt() -%}
    coalesce(getvariable('mask_salt'), '')
{%- endmacro %}

{% macro spark__mask_salt() -%}
    coalesce(session.mask_salt, '')
{%- endmacro %}
