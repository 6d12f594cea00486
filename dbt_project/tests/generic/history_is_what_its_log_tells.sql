{#
    Invariant 9: the incremental history equals the one computed from the whole log. Returns the versions that only one
    of them has.
#}
{% test history_is_what_its_log_tells(model, source_name, table_name) %}
{%- set facts = lake_facts(source_name, table_name) -%}
{%- set log = tested_rows(source(source_name, table_name), model, source_name, table_name) -%}
{%- set stored = quoted(facts.columns + ['sk', 'valid_from', 'valid_to', 'is_current', 'is_deleted', 'row_hash']) -%}
with

history as (

    select {{ stored }} from {{ tested_rows(model, model, source_name, table_name) }} as history

),

told as (

    select {{ stored }} from ({{ scd2_history(log, facts) }}) as told

),

only_in_history as (

    select * from history
    except
    select * from told

),

only_told as (

    select * from told
    except
    select * from history

)

select sk, valid_from, 'only in the history' as found from only_in_history
union all
select sk, valid_from, 'only told by the log' as found from only_told
{% endtest %}
