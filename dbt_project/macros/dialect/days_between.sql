{#  A query with one row `date_day` for every day from `first` to `last`, both included; none where either is null.  #}
{% macro days_between(first, last) -%}
    {{ adapter.dispatch('days_between', 'lakehouse')(first, last) }}
{%- endmacro %}

{% macro duckdb__days_between(first, last) -%}
    select cast(unnest(generate_series({{ first }}, {{ last }}, interval 1 day)) as date) as date_day
{%- endmacro %}

{% macro spark__days_between(first, last) -%}
    select explode(sequence({{ first }}, {{ last }}, interval 1 day)) as date_day
{%- endmacro %}
