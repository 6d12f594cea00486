{#
    Hand a model to the lake plugin: `rows` (all of it) and `difference` (with `_op`) are queries; the plugin merges the
    difference, or overwrites where there is no table, another fingerprint, or a full refresh. Returns the relation.
#}
{% macro store_in_lake(rows, difference, key, fingerprint, batch=none, partition_by=[], unindexed=[]) %}
    {% set relation = this.incorporate(type='view') %}
    {% do adapter.commit() %}
    {% do adapter.store_relation(
        'lake', relation, [], '', 'delta',
        {
            'rows': rows,
            'difference': difference,
            'key': key,
            'fingerprint': fingerprint,
            'batch': batch,
            'partition_by': partition_by,
            'unindexed': unindexed,
            'full_refresh': should_full_refresh(),
        }
    ) %}
    {% call statement('main') %}select 1{% endcall %}
    {{ return(relation) }}
{% endmacro %}
