{#
    Of which values of `per` the facts may differ from what `facts` holds: those of changed rows, and those of facts whose
    member is gone, is another row than it was, or ended before the fact's `moment`. A member that only ended later than
    that touches nothing, so a new price does not change earlier sales.

    `rows` are queries in brackets of rows of which the column `per` counts. `members` are dicts: the fact's `key` column,
    the dimension's rows `gone` (rows that are no longer there as they were) and `now`, its `columns` without the key.
#}
{% macro touched_facts(facts, per, moment, rows, members) -%}
select {{ per }} from {{ facts }} where false
{%- for query in rows %}

union

select {{ per }} from {{ query }}
{%- endfor %}
{%- for member in members %}

union

select {{ per }} from {{ facts }} where {{ member.key }} = '-1'

union

select facts.{{ per }}

from {{ facts }} as facts

inner join {{ member.gone }} as gone on facts.{{ member.key }} = gone.{{ member.key }}

left join {{ member.now }} as now_there
    on gone.{{ member.key }} = now_there.{{ member.key }}
    {%- for column in member.columns | reject('in', ['valid_to', 'is_current']) %}
    and gone.{{ adapter.quote(column) }} is not distinct from now_there.{{ adapter.quote(column) }}
    {%- endfor %}

where now_there.{{ member.key }} is null or facts.{{ moment }} >= now_there.valid_to
{%- endfor %}
{%- endmacro %}

{#
    The rows by which a table differs from an older version of it, in brackets: `gone`, as they were, or `come`, as they
    are. `files` tells the files of each that the other version does not have; no others can hold such a row.
#}
{% macro changed_rows(scans, files, columns, which) -%}
{%- set other = 'come' if which == 'gone' else 'gone' -%}
(
    select {{ quoted(columns) }} from {{ scans[which] }} where {{ file_of_row() }} in ({{ files[which] or "''" }})
    except
    select {{ quoted(columns) }} from {{ scans[other] }} where {{ file_of_row() }} in ({{ files[other] or "''" }})
)
{%- endmacro %}
