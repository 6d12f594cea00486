{#
    A lake table as this dbt process sees it: `version`, `batch`, `fingerprint`, whether it is `append_only`, what it was
    `computed_from` (none where that cannot be read any more), `scan`, which reads it, and `rows`, a query in brackets of
    its rows with the place of each (`_file`, `_pos`); none where there is no table.
#}
{% macro lake_state(schema, name) %}
    {% set rows = run_query(
        "select version, batch, fingerprint, append_only, scan, computed_from from main.lake_state where schema = '"
        ~ schema ~ "' and name = '" ~ name ~ "'"
    ).rows %}
    {{ return({
        'version': rows[0][0],
        'batch': rows[0][1],
        'fingerprint': rows[0][2],
        'append_only': rows[0][3],
        'rows': '(select *, filename as _file, file_row_number as _pos from ' ~ rows[0][4] ~ ')',
        'scan': rows[0][4],
        'computed_from': fromjson(rows[0][5]) if rows[0][5] else none,
    } if rows else none) }}
{% endmacro %}
