{#
    A history table (model SQL: `scd2(...)`). A run changes only keys with new events, in one commit, or commits nothing.
    It rebuilds the history from Bronze, with the same result, in these cases: the key, the columns or the tracked
    columns changed; Bronze changed a type; or there are new events in a Bronze table that is not append-only, because
    rows that such a table has lost leave no event. A rebuild is also used if a large share of all events is new, because
    it is then faster. The model stops if Bronze was replaced or lacks batches that it had before.
#}
{% materialization scd2, default %}
    {% set source_name, table_name = model.sources[0] %}
    {% set facts = lake_facts(source_name, table_name) %}
    {% set events = source(source_name, table_name) %}
    {# raised where the text of a type was corrected, so that histories with it are rebuilt once #}
    {% set types = facts.types.values() | list %}
    {% set spelling = 3 if 'bool' in types else 2 if 'float' in types or 'double' in types else 1 %}
    {% set fingerprint = local_md5(tojson({'hash': spelling, 'facts': facts}, sort_keys=true)) %}
    {% set bronze = lake_state('bronze', events.identifier) %}
    {% set silver = lake_state(this.schema, this.identifier) %}
    {% if not bronze %}
        {{ exceptions.raise_compiler_error(
            this.identifier ~ ': the Bronze table ' ~ events.identifier ~ ' is missing or cannot be opened. '
            ~ 'Nothing was written. Run `lakehouse doctor`, which tells what to do.'
        ) }}
    {% endif %}
    {% set since = silver.batch if silver else 0 %}
    {% set difference = none %}
    {% set in_bronze = types_in_bronze(source_name ~ '.' ~ table_name, events, facts) %}
    {% set retyped = silver and in_bronze != types_in_silver(facts) %}
    {% set rebuild = retyped or (since != bronze.batch and not bronze.append_only) %}
    {% if silver and bronze.append_only and not should_full_refresh() %}
        {% do assert_bronze_goes_on(events, bronze.batch, silver) %}
    {% endif %}
    {{ run_hooks(pre_hooks) }}
    {% if silver and bronze.batch > since and not rebuild %}
        {% set events_new, oldest = run_query(scd2_news(events, since)).rows[0] %}
        {% if events_new > 1000000 %}
            {# from a fifth of new events on, a rebuild of all events costs less than the difference #}
            {% set rebuild = events_new * 5 > run_query('select count(*) from ' ~ events).rows[0][0] %}
        {% endif %}
        {% if events_new > 0 %}
            {% set difference = scd2_difference(events, silver.rows, facts, since, oldest | int) %}
        {% endif %}
    {% endif %}
    {% set relation = store_in_lake(
        rows=sql,
        difference=difference,
        key=['sk'],
        within=scd2_reach(oldest | int) if difference is not none else none,
        fingerprint=fingerprint,
        batch=bronze.batch,
        newest=newest_of(events, bronze.batch),
        partition_by=['is_current'],
        order_by=['valid_to'] + facts.key,
        unindexed=facts.personal,
        rebuild=rebuild
    ) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}

{#  The contracted columns of a Bronze table and their types. Stops if Bronze lacks one that no load has added yet.  #}
{% macro types_in_bronze(id, events, facts) %}
    {% set found = dict(described(events)) %}
    {% set lacking = facts.columns | reject('in', found) | list %}
    {% if lacking %}
        {{ exceptions.raise_compiler_error(
            id ~ ': Bronze lacks columns of the contract so far: ' ~ lacking | join(', ') ~ '. The table is '
            ~ 'unchanged. Load it first: lakehouse load ' ~ id
        ) }}
    {% endif %}
    {{ return(_types_of(facts, found)) }}
{% endmacro %}

{#  The same columns of the history with their types; none for columns that it lacks.  #}
{% macro types_in_silver(facts) %}
    {{ return(_types_of(facts, dict(described(this)))) }}
{% endmacro %}

{% macro _types_of(facts, found) %}
    {% set types = [] %}
    {% for column in facts.columns %}{% do types.append(found.get(column)) %}{% endfor %}
    {{ return(types) }}
{% endmacro %}
