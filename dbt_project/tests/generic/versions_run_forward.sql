{#
    Invariant 1: every version ends after it began. Returns the versions that do not.
#}
{% test versions_run_forward(model, source_name, table_name) %}
select
    sk,
    valid_from,
    valid_to

from {{ model }}

where valid_to <= valid_from
{% endtest %}
