{#  Stop the model unless every row of `relation` has unique values in the columns `key`, none of them null.  #}
{% macro assert_one_row_per_key(relation, key, name) %}
    {% set missing = [] %}
    {% for column in key %}{% do missing.append(adapter.quote(column) ~ ' is null') %}{% endfor %}
    {% set wrong %}
        select count(*)
        from (
            select {{ quoted(key) }} from {{ relation }}
            group by {{ quoted(key) }} having count(*) > 1 or {{ missing | join(' or ') }}
        ) as wrong
    {% endset %}
    {% set count = run_query(wrong).rows[0][0] %}
    {% if count > 0 %}
        {{ exceptions.raise_compiler_error(
            name ~ ': must have one row per ' ~ key | join(', ') ~ ', but ' ~ count ~ ' keys repeat or are null. '
            ~ 'Nothing was written. Correct the join that makes them.'
        ) }}
    {% endif %}
{% endmacro %}

{#  The columns that identify a model's rows, from its config: a name or a list. Stops a model without one.  #}
{% macro key_columns() %}
    {% set key = config.get('unique_key') %}
    {% if key %}{{ return([key] if key is string else key) }}{% endif %}
    {{ exceptions.raise_compiler_error(
        this.identifier ~ ": needs a unique_key and has none. Nothing was written. Write config(unique_key='id') in the "
        ~ "model, or config(unique_key=['id', 'line']) if several columns together identify a row."
    ) }}
{% endmacro %}
