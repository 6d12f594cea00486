{#
    The salt of masked values: the environment's LAKEHOUSE_MASK_SALT, handed over as a variable of the session.
    Spelled out, it would stand in dbt's artifacts, logs and documentation; the mark beside it says nothing of it, and
    lets a fact be computed whole after the salt has changed. Stops a model that would be written without a salt, or
    under another one than Gold is written under (`ingestion/lake/mask_salt.py`).
#}
{% macro mask_salt() -%}
    {{ adapter.dispatch('mask_salt', 'lakehouse')() }}{{ salt_mark() }}
{%- endmacro %}

{% macro duckdb__mask_salt() -%}
    getvariable('mask_salt')
{%- endmacro %}

{#  Spark puts in the setting's value. Where there is none it puts in nothing.  #}
{% macro spark__mask_salt() -%}
    nullif('${spark.lakehouse.salt}', '')
{%- endmacro %}

{% macro salt_mark() -%}
    {%- if execute -%}
        {%- set known = run_query('select fault, mark from ' ~ adapter.dispatch('lake_salt', 'lakehouse')()).rows[0] -%}
        {%- if known[0] -%}
            {{- exceptions.raise_compiler_error(known[0]) -}}
        {%- endif -%}
        {{- ' /* ' ~ known[1] ~ ' */' if known[1] -}}
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__lake_salt() %}{{ return('main.lake_salt') }}{% endmacro %}

{% macro spark__lake_salt() %}{{ return('lake_state.lake_salt') }}{% endmacro %}
