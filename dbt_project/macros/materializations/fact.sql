{#
    A table like `delta` of which only the facts that a change may affect are recomputed. The model's SQL computes all
    facts. To compute the facts with one value of `computed_per` it may read only

        rows_of       rows of these models with that value
        members_of    of these dimensions (by the fact's key column), the version in force at the fact's `moment`

    Each commit stores the versions of its inputs. The next run compares these with today's, file by file, and recomputes
    the facts that `touched_facts` finds. All facts are recomputed if an old version can no longer be read, or if the
    model or the columns of an input changed.
#}
{% materialization fact, default %}
    {% set key = key_columns() %}
    {% set per = config.require('computed_per') %}
    {% set known = lake_state(this.schema, this.identifier) %}
    {{ run_hooks(pre_hooks) }}

    {% set question = none if should_full_refresh() or not known else touched_query(sql, known) %}
    {% set touched = compute(question, '__touched') if question is not none else none %}
    {% if touched is not none %}
        {% set count = run_query('select count(*) from ' ~ touched).rows[0][0] %}
        {% do log(this.identifier ~ ': ' ~ count ~ ' touched values of ' ~ per) %}
        {% set fresh = compute(sql_of_touched(sql, touched), '__fresh', as_promised=true) %}
        {% if row_fingerprint(fresh, key) != known.fingerprint %}
            {% set question = none %}
        {% endif %}
    {% endif %}
    {% if question is none %}
        {% do log(this.identifier ~ ': all is computed') %}
        {% set fresh = compute(sql, '__fresh', as_promised=true) %}
    {% endif %}

    {% do assert_one_row_per_key(fresh, key, this.identifier) %}
    {% set others = described(fresh) | map('first') | reject('in', key) | list %}
    {% set stale = none if not known else known.rows if question is none else only_touched(known.rows, touched) %}
    {% set relation = store_in_lake(
        rows='select * from ' ~ fresh,
        difference=row_difference(fresh, stale, key, others) if known else none,
        key=key,
        order_by=config.get('order_by', []),
        fingerprint=row_fingerprint(fresh, key),
        computed_from={'sql': local_md5(sql), 'inputs': input_versions()}
    ) %}
    {% do forget(fresh) %}
    {% if touched is not none %}{% do forget(touched) %}{% endif %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
