{#
    The state of a lake table when dbt connected; none if there is no table.

    `version`, `batch` and `fingerprint`; whether it is `append_only`; the inputs that it was `computed_from` (none if
    they can no longer be read); when the `newest` row of its batch was loaded, in microseconds since 1970; `scan`, the
    SQL that reads it; `rows`, a query in brackets of its rows with their positions (`_file`, `_pos`).
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

{#  On Spark the state of each table is a view of constants, made by `plugins/on_spark.py`.  #}
{% macro spark__lake_state_query(schema, name) %}
    {% set view = schema ~ '__' ~ name %}
    {{ return(
        'select version, batch, fingerprint, append_only, scan, computed_from, newest from lake_state.' ~ view
        if run_query("show views in lake_state like '" ~ view ~ "'").rows else none
    ) }}
{% endmacro %}
