{#
    A table whose rows are computed whole and written by difference: one merge on `unique_key`, no commit where nothing
    differs. Other columns or types overwrite the table.
#}
{% materialization delta, adapter='duckdb' %}
    {% set key = config.require('unique_key') %}
    {% if config.get('contract').enforced %}
        {{ get_assert_columns_equivalent(sql) }}
    {% endif %}
    {% set columns = adapter.get_column_schema_from_query(sql) %}
    {% set described = [] %}
    {% for column in columns %}{% do described.append([column.name, column.data_type]) %}{% endfor %}
    {% set others = columns | map(attribute='name') | reject('equalto', key) | list %}
    {% set difference %}
with fresh as (

{{ sql }}

)

{{ row_difference('fresh', this, key, others) }}
    {% endset %}
    {{ run_hooks(pre_hooks) }}
    {% set relation = store_in_lake(
        rows=sql, difference=difference, key=key, fingerprint=local_md5(tojson([key, described]))
    ) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
