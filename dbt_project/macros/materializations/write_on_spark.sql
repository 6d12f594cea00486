{#
    Spark writes a model's table itself: MERGE applies a difference, CREATE OR REPLACE TABLE writes all rows. The commit
    has the same metadata as on the embedded engine, so that each engine can continue after the other.
#}
{% macro spark__write_in_lake(relation, told) %}
    {% set table = "delta.`" ~ lake_uri(relation) ~ "`" %}
    {% set app = relation.schema ~ '/' ~ relation.identifier %}
    {% set noted = {'app': app, 'batch': told.batch | int if told.batch is not none else none, 'fingerprint': told.fingerprint} %}
    {% if told.newest is not none %}{% do noted.update({'newest': told.newest}) %}{% endif %}
    {% if told.computed_from is not none %}{% do noted.update({'computed_from': told.computed_from}) %}{% endif %}
    {% do run_query('set spark.sql.ansi.enabled=true') %}
    {% do run_query('set spark.databricks.delta.commitInfo.userMetadata=' ~ tojson(noted, sort_keys=true)) %}
    {% if told.change_version is none %}
        {% do run_query(replacing_statement(table, told)) %}
        {% do show_in_lake(relation, newest_version(table)) %}
    {% else %}
        {% set lacking = '(' ~ told.query ~ ')' %}
        {% set changed = compute('select ' ~ one_zero(described(lacking)) ~ ' from ' ~ lacking, '__changed') %}
        {% set counted = {'I': 0, 'U': 0, 'D': 0} %}
        {% for row in run_query('select _change, count(*) from ' ~ changed ~ ' group by _change').rows %}
            {% do counted.update({row[0]: row[1] | int}) %}
        {% endfor %}
        {% if counted.values() | sum %}{% do merge_difference(relation, table, changed, counted, told) %}{% endif %}
        {% do forget(changed) %}
    {% endif %}
    {% do run_query('reset spark.databricks.delta.commitInfo.userMetadata') %}
{% endmacro %}

{#  Apply a difference that is not empty. Stops if another process wrote the table since dbt started.  #}
{% macro merge_difference(relation, table, changed, counted, told) %}
    {% set name = relation.schema ~ '.' ~ relation.identifier %}
    {% if newest_version(table) != told.change_version | int %}
        {{ exceptions.raise_compiler_error(
            name ~ ': another writer committed first. '
            ~ 'Nothing of this attempt was kept. Run it again.'
        ) }}
    {% endif %}
    {% set done = run_query(merging_statement(table, changed, told)).rows[0] %}
    {% set version = newest_version(table) %}
    {% do show_in_lake(relation, version) %}
    {% set found = {'I': done['num_inserted_rows'] | int, 'U': done['num_updated_rows'] | int, 'D': done['num_deleted_rows'] | int} %}
    {% if found != counted or version != told.change_version | int + 1 %}
        {{ exceptions.raise_compiler_error(
            name ~ ': expected the changes ' ~ tojson(counted) ~ ' in the version after ' ~ told.change_version ~ ', found '
            ~ tojson(found) ~ ' and version ' ~ version ~ ': another process wrote the table meanwhile. '
            ~ 'Its rows may be wrong. Build it anew with --full-refresh, one process at a time.'
        ) }}
    {% endif %}
{% endmacro %}

{% macro merging_statement(table, changed, told) -%}
{%- set columns = described(changed) | map('first') | reject('in', ['_change', '_file', '_pos']) | list -%}
merge into {{ table }} as known
using {{ changed }} as changed
on {{ same_key(told.key, 'known', 'changed') }}
    {%- if told.within %} and ({{ told.within }}){% endif %}
when matched and changed._change = 'D' then delete
when matched and changed._change = 'U' then update set
    {%- for column in columns %}
    {{ adapter.quote(column) }} = changed.{{ adapter.quote(column) }}{{ ',' if not loop.last }}
    {%- endfor %}
when not matched and changed._change = 'I' then insert ({{ quoted(columns) }}) values ({{ quoted(columns, 'changed') }})
{%- endmacro %}

{% macro replacing_statement(table, told) -%}
{%- set columns = described('(' ~ told.query ~ ')') -%}
create or replace table {{ table }}
using delta
{%- if told.partition_by %}
partitioned by ({{ quoted(told.partition_by) }})
{%- endif %}
{%- if told.description %}
comment {{ text_of(told.description) }}
{%- endif %}
tblproperties (
    'delta.dataSkippingStatsColumns' = '{{ indexed_columns(columns, told.unindexed + told.partition_by) | join(',') }}',
    {%- if 'TIMESTAMP' in columns | map('last') %}
    'delta.feature.timestampNtz' = 'supported',
    {%- endif %}
    'delta.logRetentionDuration' = 'interval 3650 days'
)
as select {{ one_zero(columns) }} from ({{ told.query }})
{%- if told.partition_by + told.order_by %}
order by {{ quoted(told.partition_by + told.order_by) }}
{%- endif %}
{%- endmacro %}

{#  The columns that may have statistics, by the rule of `ingestion.lake.statistics`.  #}
{% macro indexed_columns(columns, unindexed) %}
    {% set indexed = [] %}
    {% for name, type in columns if name not in unindexed %}
        {% set digits = (type[8:-1] ~ ',0').split(',') | map('int') | list if type.startswith('DECIMAL') else [0, 0] %}
        {% if digits[0] <= 15 and digits[1] <= 4 and type not in ['BOOLEAN', 'FLOAT', 'DOUBLE', 'BLOB'] %}
            {% do indexed.append(name) %}
        {% endif %}
    {% endfor %}
    {{ return(indexed) }}
{% endmacro %}

{% macro lake_uri(relation) %}
    {{ return((env_var('LAKEHOUSE_ROOT') ~ '/' ~ relation.schema ~ '/' ~ relation.identifier) | replace('`', '``')) }}
{% endmacro %}

{% macro newest_version(table) %}
    {{ return(run_query('describe history ' ~ table ~ ' limit 1').rows[0]['version'] | int) }}
{% endmacro %}

{#  Set a model's view to a version of its table, and record that version.  #}
{% macro show_in_lake(relation, version) %}
    {% set scan = 'delta.`' ~ lake_uri(relation) ~ '` version as of ' ~ version %}
    {% do run_query('create or replace view ' ~ relation ~ ' as select * from ' ~ scan) %}
    {% set state = 'lake_state.' ~ relation.schema ~ '__' ~ relation.identifier %}
    {% do run_query(
        'create or replace view ' ~ state ~ ' as select ' ~ version ~ ' as version, 0 as batch, cast(null as string) as fingerprint, '
        ~ 'false as append_only, ' ~ text_of(scan) ~ ' as scan, cast(null as string) as computed_from, '
        ~ 'cast(null as bigint) as newest'
    ) %}
{% endmacro %}

{#  On a cluster: create a view of every table of the lake. `plugins/on_spark.py` runs this before dbt's command.  #}
{% macro open_lake() %}
    {% for statement in fromjson(env_var('LAKEHOUSE_VIEWS')) %}{% do run_query(statement) %}{% endfor %}
{% endmacro %}
