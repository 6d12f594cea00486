{#
    A table whose rows are computed whole and written by difference on `unique_key`: only files with a row that differs
    are written anew, nothing is where nothing differs. Other columns or types overwrite the table. `order_by` sorts new
    files: rows that change together should lie together.

    The rows are computed into a table in memory first: there the contract's types and constraints hold, and a key that
    comes twice stops the model, before anything is committed. A merge would keep both rows for ever.
#}
{% materialization delta, default %}
    {% set key = key_column() %}
    {{ run_hooks(pre_hooks) }}
    {% set fresh = compute(sql, '__fresh', as_promised=true) %}
    {% do assert_one_row_per_key(fresh, key, this.identifier) %}
    {% set columns = described(fresh) %}
    {% set known = lake_state(this.schema, this.identifier) %}
    {% set others = columns | map('first') | reject('equalto', key) | list %}
    {% set relation = store_in_lake(
        rows='select * from ' ~ fresh,
        difference=row_difference(fresh, known.rows, key, others) if known else none,
        key=key,
        order_by=config.get('order_by', []),
        fingerprint=local_md5(tojson([key, columns]))
    ) %}
    {% do forget(fresh) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
