{#  The version, batch and fingerprint of a lake table as this dbt process sees it; none where there is no table.  #}
{% macro lake_state(schema, name) %}
    {% set rows = run_query(
        "select version, batch, fingerprint from main.lake_state where schema = '" ~ schema ~ "' and name = '" ~ name ~ "'"
    ).rows %}
    {{ return({'version': rows[0][0], 'batch': rows[0][1], 'fingerprint': rows[0][2]} if rows else none) }}
{% endmacro %}
