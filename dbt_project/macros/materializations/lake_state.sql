{#
    A lake table as this dbt process sees it: `version`, `batch`, `fingerprint`, whether it is `append_only`, what it was
    `computed_from` (none where that cannot be read any more), when the `newest` row of its batch was loaded, `scan`, which reads it, and `rows`, a query in brackets of
    its rows with the place of each (`_file`, `_pos`); none where there is no table.
#}
{% macro lake_state(schema, name) %}
    {% set query = adapter.dispatch('lake_state_query', 'lakehouse')(schema, name) %}
    {% set rows = run_query(query).rows if query else [] %}
    {{ return({
        'version': rows[0][0],
        'batch': rows[0][1],
        'fingerprint': rows[0][2],
        'append_only': rows[0][3],
        'rows': rows_with_places(rows[0][4]),
        'scan': rows[0][4],
        'computed_from': fromjson(rows[0][5]) if rows[0][5] else none,
        'newest': rows[0][6] | int if rows[0][6] is not none else none,
    } if rows else none) }}
{% endmacro %}

{% macro duckdb__lake_state_query(schema, name) %}
    {{ return(
        "select version, batch, fingerprint, append_only, scan, computed_from, newest from main.lake_state where schema = '"
        ~ schema ~ "' and name = '" ~ name ~ "'"
    ) }}
{% endmacro %}

{#  The state of a table is in a view of constants; `plugins/on_spark.py` makes one per table.  #}
{% macro spark__lake_state_query(schema, name) %}
    {% set view = schema ~ '__' ~ name %}
    {{ return(
        'select version, batch, fingerprint, append_only, scan, computed_from, newest from lake_state.' ~ view
        if run_query("show views in lake_state like '" ~ view ~ "'").rows else none
    ) }}
{% endmacro %}
