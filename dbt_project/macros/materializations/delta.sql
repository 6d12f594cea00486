{#
    A table whose rows are computed whole and written by difference on `unique_key`: only files with a row that differs
    are written anew, nothing is where nothing differs. Other columns or types overwrite the table. `order_by` sorts new
    files: rows that change together should lie together.

    The rows are computed into a table in memory first: there the contract's types and constraints hold, and a key that
    comes twice stops the model, before anything is committed. A merge would keep both rows for ever.
#}
{% materialization delta, adapter='duckdb' %}
    {% set key = config.require('unique_key') %}
    {% set fresh = make_intermediate_relation(this.incorporate(type='table'), suffix='__fresh') %}
    {{ run_hooks(pre_hooks) }}
    {% do adapter.drop_relation(fresh) %}
    {% call statement('fresh') %}{{ create_table_as(False, fresh, sql) }}{% endcall %}
    {% do assert_one_row_per_key(fresh, key, this.identifier) %}
    {% set columns = adapter.get_columns_in_relation(fresh) %}
    {% set described = [] %}
    {% for column in columns %}{% do described.append([column.name, column.data_type]) %}{% endfor %}
    {% set known = lake_state(this.schema, this.identifier) %}
    {% set others = columns | map(attribute='name') | reject('equalto', key) | list %}
    {% set relation = store_in_lake(
        rows='select * from ' ~ fresh,
        difference=row_difference(fresh, known.rows, key, others) if known else none,
        order_by=config.get('order_by', []),
        fingerprint=local_md5(tojson([key, described]))
    ) %}
    {% do adapter.drop_relation(fresh) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
