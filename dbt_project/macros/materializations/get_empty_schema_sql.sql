{#  The schema that a model's contract is compared with. Contracts have DuckDB's type names; Spark gets its own.  #}
{% macro spark__get_empty_schema_sql(columns) %}
    {% set spelled = {
        'varchar': 'string', 'integer': 'int', 'timestamp with time zone': 'timestamp', 'timestamp': 'timestamp_ntz',
        'blob': 'binary',
    } %}
    {% set translated = {} %}
    {% for name, column in columns.items() %}
        {% set type = column.data_type | default('', true) | lower %}
        {% do translated.update({name: dict(column, data_type=spelled.get(type, type))}) %}
    {% endfor %}
    {{ return(default__get_empty_schema_sql(translated)) }}
{% endmacro %}
