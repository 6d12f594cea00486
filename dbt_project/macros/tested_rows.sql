{#
    The rows of `relation` (a history or its log) whose keys a test checks: all rows if the history `model` has at most
    `history_tested_versions` versions. Of a larger history: the keys with events in the newest ten batches, and a part
    of all keys with about `history_tested_versions` versions. The next batch selects another part.
#}
{% macro tested_rows(relation, model, source_name, table_name) -%}
{%- set facts = lake_facts(source_name, table_name) -%}
{%- set log = source(source_name, table_name) -%}
{%- set parts = tested_parts(model) -%}
{%- if parts == 1 -%}
    {{ relation }}
{%- else -%}
    (
        select rows_.*

        from {{ relation }} as rows_

        where
            {{ part_of(sparse_text(facts.key, facts.types), parts) }} = (select max(_batch) % {{ parts }} from {{ log }})
            or exists (
                select 1
                from {{ log }} as newest
                where newest._batch > (select max(_batch) - 10 from {{ log }}) and {{ same_key(facts.key, 'newest', 'rows_') }}
            )
    )
{%- endif -%}
{%- endmacro %}

{#  The number of parts into which a history is split; each run of the tests checks one.  #}
{% macro tested_parts(model) %}
    {% if not execute or load_relation(model) is none %}{{ return(1) }}{% endif %}
    {% set versions = run_query('select count(*) from ' ~ model).rows[0][0] %}
    {{ return([1, (versions / (var('history_tested_versions') | int)) | round(0, 'ceil') | int] | max) }}
{% endmacro %}
