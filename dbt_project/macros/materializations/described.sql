{#  The columns of a relation or query as pairs of name and type, with DuckDB's names of types.  #}
{% macro described(rows) %}
    {{ return(adapter.dispatch('described', 'lakehouse')(rows)) }}
{% endmacro %}

{% macro duckdb__described(rows) %}
    {% set found = run_query('describe select * from ' ~ rows) %}
    {{ return(zip(found.columns['column_name'].values(), found.columns['column_type'].values()) | list) }}
{% endmacro %}

{% macro spark__described(rows) %}
    {% set spelled = {
        'string': 'VARCHAR', 'int': 'INTEGER', 'timestamp': 'TIMESTAMP WITH TIME ZONE', 'timestamp_ntz': 'TIMESTAMP',
        'binary': 'BLOB',
    } %}
    {% set columns = [] %}
    {% for row in run_query('describe query select * from ' ~ rows).rows %}
        {% do columns.append((row[0], spelled.get(row[1], row[1] | upper))) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}

{#  A text that changes with the columns, their types or the key of a relation.  #}
{% macro row_fingerprint(relation, key) %}
    {{ return(local_md5(tojson([key[0] if key | length == 1 else key, described(relation)]))) }}
{% endmacro %}
