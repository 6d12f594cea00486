{#
    A table of which all rows are computed and the differences by `unique_key` are written: only files with a changed row
    are rewritten, and nothing is committed without a difference. Changed columns or types overwrite the table.
    `order_by` sorts new files; choose it so that rows that change together are stored together.

    The rows are computed into a temporary table first, where the contract's types and constraints are checked. A
    repeated key stops the model before anything is committed, because a merge would keep both rows forever.
#}
{% materialization delta, default %}
    {% set key = key_columns() %}
    {{ run_hooks(pre_hooks) }}
    {% set fresh = compute(sql, '__fresh', as_promised=true) %}
    {% do assert_one_row_per_key(fresh, key, this.identifier) %}
    {% set known = lake_state(this.schema, this.identifier) %}
    {% set others = described(fresh) | map('first') | reject('in', key) | list %}
    {% set relation = store_in_lake(
        rows='select * from ' ~ fresh,
        difference=row_difference(fresh, known.rows, key, others) if known else none,
        key=key,
        order_by=config.get('order_by', []),
        fingerprint=row_fingerprint(fresh, key)
    ) %}
    {% do forget(fresh) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
