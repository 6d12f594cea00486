{#
    A history table (model SQL: `scd2(...)`). Touches only keys with new events, in one commit; nothing new makes none.
    Another set of keys, columns or tracked columns forces a rebuild from Bronze, which gives the same history; so does
    a Bronze table that counts its batches anew, for then `since` means nothing, and new events in one that is not
    append-only, for what has left it leaves no event. Where a large share of all events is new, a rebuild is quicker.
#}
{% materialization scd2, default %}
    {% set source_name, table_name = model.sources[0] %}
    {% set facts = lake_facts(source_name, table_name) %}
    {% set events = source(source_name, table_name) %}
    {% set spelling = 2 if 'float' in facts.types.values() or 'double' in facts.types.values() else 1 %}
    {% set fingerprint = local_md5(tojson({'hash': spelling, 'facts': facts}, sort_keys=true)) %}
    {% set bronze = lake_state('bronze', events.identifier) %}
    {% set silver = lake_state(this.schema, this.identifier) %}
    {% set since = silver.batch if silver else 0 %}
    {% set difference = none %}
    {% set rebuild = bronze.batch < since or (bronze.batch > since and not bronze.append_only) %}
    {{ run_hooks(pre_hooks) }}
    {% if silver and bronze.batch > since and not rebuild %}
        {% set events_new, oldest = run_query(scd2_news(events, since)).rows[0] %}
        {% if events_new > 1000000 %}
            {# one pass over all events costs less than the difference from a fifth of them on #}
            {% set rebuild = events_new * 5 > run_query('select count(*) from ' ~ events).rows[0][0] %}
        {% endif %}
        {% if events_new > 0 %}
            {% set difference = scd2_difference(events, silver.rows, facts, since, oldest | int) %}
        {% endif %}
    {% endif %}
    {% set relation = store_in_lake(
        rows=sql,
        difference=difference,
        key='sk',
        within=scd2_reach(oldest | int) if difference is not none else none,
        fingerprint=fingerprint,
        batch=bronze.batch,
        partition_by=['is_current'],
        order_by=['valid_to'] + facts.key,
        unindexed=facts.personal,
        rebuild=rebuild
    ) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
