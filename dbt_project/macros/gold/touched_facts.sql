{#
    The values of the column `per` whose facts may differ from those in `facts`: the values of changed rows, and of facts
    whose member was removed, changed, or ended by the fact's `moment`, or that have no member. A member that ended after
    the `moment` does not matter, so a new price does not change earlier sales.

    `rows` are queries in brackets of changed rows with the column `per`. `members` are dicts: the fact's `key` column,
    the dimension's rows `gone` (removed, or changed since) and `now`, and its `columns` without the key.
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
    The rows by which a table differs from an older version of it, in brackets: `gone` (rows of the older version) or
    `come` (rows of today's). `files` has the files of each version that the other one lacks; only these are read.
#}
{% macro changed_rows(scans, files, columns, which) -%}
{%- set other = 'come' if which == 'gone' else 'gone' -%}
(
    select {{ quoted(columns) }} from {{ scans[which] }} where {{ file_of_row() }} in ({{ files[which] or "''" }})
    except
    select {{ quoted(columns) }} from {{ scans[other] }} where {{ file_of_row() }} in ({{ files[other] or "''" }})
)
{%- endmacro %}
