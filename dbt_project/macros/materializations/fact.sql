{#
    A table like `delta`, of which only the facts that a change may affect are computed again. The model's SQL
    computes all facts and knows nothing of this; of the facts with one value of `computed_per` it may read

        rows_of       rows with that value of these models
        members_of    of these dimensions (keyed by the fact's column), the version in force at the fact's `moment`

    and nothing else. Each commit notes the versions that it was computed from. The next run compares them with those of
    today, file by file, and computes what `touched_facts` tells; all of it where they cannot be read any more, or where
    the model or the columns of an input are not what they were.
#}
{% materialization fact, default %}
    {% set key = key_column() %}
    {% set per = config.require('computed_per') %}
    {% set known = lake_state(this.schema, this.identifier) %}
    {{ run_hooks(pre_hooks) }}

    {% set question = none if should_full_refresh() or not known else touched_query(sql, known) %}
    {% set touched = compute(question, '__touched') if question is not none else none %}
    {% if touched is not none %}
        {% set count = run_query('select count(*) from ' ~ touched).rows[0][0] %}
        {% do log(this.identifier ~ ': ' ~ count ~ ' touched values of ' ~ per) %}
        {% set fresh = compute(sql_of_touched(sql, touched), '__fresh', as_promised=true) %}
        {% if fact_fingerprint(fresh, key) != known.fingerprint %}
            {% set question = none %}
        {% endif %}
    {% endif %}
    {% if question is none %}
        {% do log(this.identifier ~ ': all is computed') %}
        {% set fresh = compute(sql, '__fresh', as_promised=true) %}
    {% endif %}

    {% do assert_one_row_per_key(fresh, key, this.identifier) %}
    {% set others = described(fresh) | map('first') | reject('equalto', key) | list %}
    {% set stale = none if not known else known.rows if question is none else only_touched(known.rows, touched) %}
    {% set relation = store_in_lake(
        rows='select * from ' ~ fresh,
        difference=row_difference(fresh, stale, key, others) if known else none,
        key=key,
        order_by=config.get('order_by', []),
        fingerprint=fact_fingerprint(fresh, key),
        computed_from={'sql': local_md5(sql), 'inputs': input_versions()}
    ) %}
    {% do forget(fresh) %}
    {% if touched is not none %}{% do forget(touched) %}{% endif %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
