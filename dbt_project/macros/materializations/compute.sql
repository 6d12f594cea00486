{#
    Compute a query once, in memory that can spill to disk, and return the relation that has its rows until `forget`.
    With `as_promised` the rows get the columns and types of the model's contract; the model stops if they do not fit.
#}
{% macro compute(query, suffix, as_promised=false) %}
    {{ return(adapter.dispatch('compute', 'lakehouse')(query, suffix, as_promised)) }}
{% endmacro %}

{% macro duckdb__compute(query, suffix, as_promised) %}
    {% set relation = make_intermediate_relation(this.incorporate(type='table'), suffix=suffix) %}
    {% do adapter.drop_relation(relation) %}
    {% call statement('computed') %}
        {% if as_promised %}{{ create_table_as(False, relation, query) }}{% else %}create table {{ relation }} as {{ query }}{% endif %}
    {% endcall %}
    {{ return(relation) }}
{% endmacro %}

{% macro spark__compute(query, suffix, as_promised) %}
    {% set relation = api.Relation.create(identifier=this.schema ~ '__' ~ this.identifier ~ suffix, type='view') %}
    {% do forget(relation) %}
    {% do run_query('set spark.sql.ansi.enabled=true') %}{# dbt turns ANSI mode off; a failed cast would then give null #}
    {% if as_promised and config.get('contract').enforced %}
        {% do get_assert_columns_equivalent(query) %}
        {% set query = get_select_subquery(query) %}
    {% endif %}
    {% call statement('computed') %}cache lazy table {{ relation }} as {{ query }}{% endcall %}
    {{ return(relation) }}
{% endmacro %}

{#  Release the rows of `compute`.  #}
{% macro forget(relation) %}
    {% do adapter.dispatch('forget', 'lakehouse')(relation) %}
{% endmacro %}

{% macro duckdb__forget(relation) %}
    {% do adapter.drop_relation(relation) %}
{% endmacro %}

{% macro spark__forget(relation) %}
    {% do run_query('uncache table if exists ' ~ relation) %}
    {% do run_query('drop view if exists ' ~ relation) %}
{% endmacro %}
