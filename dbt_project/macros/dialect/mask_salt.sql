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

{#  Spark puts in the setting's value. Where there is none it puts in nothing.  #}
{% macro spark__mask_salt() -%}
    '${spark.lakehouse.salt}'
{%- endmacro %}
