{#
    Write a model. `rows` is a query of all rows, `difference` one of the changes (see `row_difference`; none if nothing
    can differ). Only files with changed rows are rewritten; all of the table is, if it does not exist, its fingerprint
    changed, or on a full refresh or `rebuild`. New files are sorted by `order_by`. The columns `key` identify rows. `within` is a
    condition that is true for all rows of the table (`known`) that a difference can change. Returns the relation; dbt's
    result message says what was written.
#}
{% macro store_in_lake(
    rows, difference, fingerprint, key, within=none, batch=none, partition_by=[], order_by=[], unindexed=[],
    rebuild=false, computed_from=none, newest=none
) %}
    {% set relation = this.incorporate(type='view') %}
    {% set before = lake_state(this.schema, this.identifier) %}
    {% set rebuild = rebuild or should_full_refresh() or not before or before.fingerprint != fingerprint %}
    {% do adapter.commit() %}
    {% if rebuild or difference is not none %}
        {% do adapter.dispatch('write_in_lake', 'lakehouse')(relation, {
            'query': rows if rebuild else difference,
            'key': key,
            'within': within,
            'fingerprint': fingerprint,
            'computed_from': computed_from,
            'batch': batch,
            'newest': newest,
            'partition_by': partition_by,
            'order_by': order_by,
            'unindexed': unindexed,
            'withhold': this.schema == 'gold' and publishes_tested(),
            'description': model.description if config.persist_relation_docs() else '',
            'comments': column_comments() if config.persist_column_docs() else {},
            'change_version': none if rebuild else before.version,
        }) %}
    {% endif %}
    {% set after = lake_state(this.schema, this.identifier) %}
    {% set code = 'OVERWRITE' if rebuild else 'UNCHANGED' if after.version == before.version else 'MERGE' %}
    {% do store_raw_result('main', message=code ~ ' at version ' ~ after.version, code=code, rows_affected=none) %}
    {{ return(relation) }}
{% endmacro %}

{#  The descriptions of the model's columns that have one.  #}
{% macro column_comments() %}
    {% set comments = {} %}
    {% for name, column in model.columns.items() if column.description %}
        {% do comments.update({name: column.description}) %}
    {% endfor %}
    {{ return(comments) }}
{% endmacro %}

{#  The lake plugin writes the files and creates the view.  #}
{% macro duckdb__write_in_lake(relation, told) %}
    {% do adapter.store_relation('lake', relation, [], '', 'delta', told) %}
{% endmacro %}
