{#
    Hand a model to the lake plugin: `rows` (all of it) and `difference` (with `_op`) are queries; the plugin merges the
    difference, or overwrites where there is no table, another fingerprint, a full refresh or a `rebuild`. Returns the
    relation; dbt's result tells what became of the table.
#}
{% macro store_in_lake(rows, difference, key, fingerprint, batch=none, partition_by=[], unindexed=[], rebuild=false) %}
    {% set relation = this.incorporate(type='view') %}
    {% set before = lake_state(this.schema, this.identifier) %}
    {% set rebuild = rebuild or should_full_refresh() or not before or before.fingerprint != fingerprint %}
    {% do adapter.commit() %}
    {% do adapter.store_relation(
        'lake', relation, [], '', 'delta',
        {
            'query': rows if rebuild else difference,
            'key': key,
            'fingerprint': fingerprint,
            'batch': batch,
            'partition_by': partition_by,
            'unindexed': unindexed,
            'merge_into': none if rebuild else before.version,
        }
    ) %}
    {% set after = lake_state(this.schema, this.identifier) %}
    {% set code = 'OVERWRITE' if rebuild else 'UNCHANGED' if after.version == before.version else 'MERGE' %}
    {% do store_raw_result('main', message=code ~ ' at version ' ~ after.version, code=code, rows_affected=none) %}
    {{ return(relation) }}
{% endmacro %}
