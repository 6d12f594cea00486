{#
    At the end of `dbt build`: commit the Gold tables of this build whose tests passed.

    A table is not published if a test that reads it failed, if one of its own tests was skipped, or if it is built on a
    table that is not published; readers then see it as it was before. Of other tables with a failed test (Silver, and all
    tables on Spark, where each model commits when it is built) the new rows are in the lake. The hook then ends with an error
    that names both. It is raised by SQL: dbt would lose the results of all models if a macro raised it here.
#}
{% macro publish_tested(results) %}
    {% set suspected = [] %}
    {% for result in results if result.node.resource_type == 'test' %}
        {% if result.status in ('fail', 'error', 'runtime error') %}
            {% do suspected.extend(result.node.depends_on.nodes) %}
        {% elif result.status == 'skipped' and result.node.attached_node %}
            {% do suspected.append(result.node.attached_node) %}
        {% endif %}
    {% endfor %}
    {% set withheld = withheld_tables() %}
    {% set kept, shown = [], [] %}
    {% for result in results if result.node.resource_type == 'model' and result.status == 'success' %}
        {% set node = result.node %}
        {% set name = node.schema ~ '.' ~ (node.alias or node.name) %}
        {% if name not in withheld %}
            {% if node.unique_id in suspected %}{% do shown.append(name) %}{% endif %}
        {% elif node.unique_id in suspected or node.depends_on.nodes | select('in', suspected) | list %}
            {% do suspected.append(node.unique_id) %}
            {% do kept.append(name) %}
        {% else %}
            {% do adapter.store_relation(
                'lake', api.Relation.create(schema=node.schema, identifier=node.alias or node.name), [], '', 'delta',
                {'publish': true}
            ) %}
        {% endif %}
    {% endfor %}
    {% set faults = run_query('select name, fault from main.unpublished').rows if withheld else [] %}
    {% set told = [] %}
    {% if kept %}{% do told.append('Not published, readers see them as they were: ' ~ kept | join(', ') ~ '.') %}{% endif %}
    {% if shown %}{% do told.append('These hold the new rows, and readers see them: ' ~ shown | join(', ') ~ '.') %}{% endif %}
    {% for fault in faults %}{% do told.append('Not published: ' ~ fault[0] ~ ' (' ~ fault[1] ~ ').') %}{% endfor %}
    {% if told %}{{ raised('Tables after this build. ' ~ told | join(' ')) }}{% endif %}
{% endmacro %}

{#  Whether the project has the hook that calls `publish_tested`; else tables are published when they are built.  #}
{% macro publishes_tested() %}
    {% set hooks = graph.nodes.values() | selectattr('resource_type', 'equalto', 'operation') | map(attribute='raw_code') %}
    {{ return('publish_tested' in hooks | join(' ')) }}
{% endmacro %}

{#  The names of the tables that this build has written and not yet published.  #}
{% macro withheld_tables() %}
    {{ return(adapter.dispatch('withheld_tables', 'lakehouse')()) }}
{% endmacro %}

{% macro duckdb__withheld_tables() %}
    {{ return(run_query("select schema || '.' || name from main.lake_state where is_withheld").columns[0].values() | list) }}
{% endmacro %}

{% macro spark__withheld_tables() %}
    {{ return([]) }}
{% endmacro %}

{#  A query that fails with a text.  #}
{% macro raised(text) -%}
    {{ adapter.dispatch('raised', 'lakehouse')(text) }}
{%- endmacro %}

{% macro duckdb__raised(text) -%}
    select error({{ text_of(text) }})
{%- endmacro %}

{% macro spark__raised(text) -%}
    select raise_error({{ text_of(text) }})
{%- endmacro %}
