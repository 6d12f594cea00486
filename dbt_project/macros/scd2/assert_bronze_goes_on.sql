{#
    Stop the model if Bronze no longer has the batches from which the history was built. After a restored log or a new
    table, batch numbers are used again, so `since` would select the wrong events. A rebuild would lose the history that
    only the lost batches contained, so a person must decide on it.
#}
{% macro assert_bronze_goes_on(events, batch, silver) %}
    {% if batch >= silver.batch and (silver.newest is none or newest_of(events, silver.batch) == silver.newest) %}
        {{ return('') }}
    {% endif %}
    {{ exceptions.raise_compiler_error(
        this.identifier ~ ': was made of the batches of ' ~ events.identifier ~ ' up to ' ~ silver.batch
        ~ ', but that table now ends at batch ' ~ batch ~ ' or has other rows under these numbers: its log was restored, '
        ~ 'mended or made anew. Nothing was written; this table still has all versions. If a newer backup of the Bronze '
        ~ 'log exists, restore it. Else make this table from what Bronze has: `lakehouse load --full` brings what the '
        ~ 'source still has, `lakehouse build --full-refresh` the history; what only the lost batches told is '
        ~ 'in version ' ~ silver.version ~ ' of this table until `lakehouse maintain` deletes its files.'
    ) }}
{% endmacro %}

{#  When the newest row of a batch was loaded, in microseconds since 1970; none if the batch has no row.  #}
{% macro newest_of(events, batch) %}
    {% set found = run_query(
        'select ' ~ epoch_us('max(_ingested_at)') ~ ' as newest from ' ~ events ~ ' where _batch = ' ~ batch
    ).rows[0][0] %}
    {{ return(found | int if found is not none else none) }}
{% endmacro %}
