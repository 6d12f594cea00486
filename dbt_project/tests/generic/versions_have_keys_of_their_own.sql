{#
    Invariant 6: no two versions have the same `sk`, and it is never null. Returns the keys that break it.
#}
{% test versions_have_keys_of_their_own(model, source_name, table_name) %}
select
    sk,
    count(*) as versions

from {{ model }}

group by sk

having count(*) > 1 or sk is null
{% endtest %}
