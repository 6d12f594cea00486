{#
    Invariant 4: of a key whose last version is not deleted that one is current, and no other; of a deleted key none is.
    Returns the keys of which another number is, and those with a current version that has ended or is deleted.
#}
{% test one_version_is_current(model, source_name, table_name) %}
{%- set key = quoted(lake_facts(source_name, table_name).key) -%}
select
    {{ key }},
    count(*) as versions

from {{ tested_rows(model, model, source_name, table_name) }} as history

group by {{ key }}

having
    sum(case when is_current then 1 else 0 end) <> sum(case when valid_to is null and not is_deleted then 1 else 0 end)
    or sum(case when is_current then 1 else 0 end) > 1
    or sum(case when is_current and (valid_to is not null or is_deleted) then 1 else 0 end) > 0
{% endtest %}
