{#
    A history table (model SQL: `scd2(...)`). Touches only keys with new events, in one merge; nothing new makes no
    commit. Another set of keys, columns or tracked columns forces a rebuild from Bronze, which gives the same history;
    so does a Bronze table that counts its batches anew, for then `since` means nothing.
#}
{% materialization scd2, adapter='duckdb' %}
    {% set source_name, table_name = model.sources[0] %}
    {% set facts = lake_facts(source_name, table_name) %}
    {% set events = source(source_name, table_name) %}
    {% set fingerprint = local_md5(tojson({'hash': 1, 'facts': facts}, sort_keys=true)) %}
    {% set bronze = lake_state('bronze', events.identifier) %}
    {% set silver = lake_state(this.schema, this.identifier) %}
    {% set since = silver.batch if silver else 0 %}
    {{ run_hooks(pre_hooks) }}
    {% set relation = store_in_lake(
        rows=sql,
        difference=scd2_difference(events, this, facts, since),
        key='sk',
        fingerprint=fingerprint,
        batch=bronze.batch,
        partition_by=['is_current'],
        unindexed=facts.personal,
        rebuild=bronze.batch < since
    ) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
