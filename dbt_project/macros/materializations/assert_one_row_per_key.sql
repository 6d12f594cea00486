{#  Stop the model unless every row of `relation` has a unique `key` that is not null.  #}
{% macro assert_one_row_per_key(relation, key, name) %}
    {% set wrong %}
        select count(*)
        from (select {{ key }} from {{ relation }} group by {{ key }} having count(*) > 1 or {{ key }} is null) as wrong
    {% endset %}
    {% set count = run_query(wrong).rows[0][0] %}
    {% if count > 0 %}
        {{ exceptions.raise_compiler_error(
            name ~ ': promised one row per ' ~ key ~ ', found ' ~ count ~ ' keys that repeat or are null. '
            ~ 'Nothing was written. Correct the join that makes them.'
        ) }}
    {% endif %}
{% endmacro %}

{#  The column that identifies a model's rows, from its config. Stops a model without one.  #}
{% macro key_column() %}
    {% set key = config.get('unique_key') %}
    {% if key is string and key %}{{ return(key) }}{% endif %}
    {{ exceptions.raise_compiler_error(
        this.identifier ~ ': promised a unique_key of one column, found '
        ~ ('none' if not key else (key | length) ~ ' columns in a list')
        ~ ". Nothing was written. Write config(unique_key='...') in the model; where several columns tell rows apart, "
        ~ 'make one of them, as fact_sales makes sales_sk.'
    ) }}
{% endmacro %}
