{#  What the materialization `fact` needs to know about its inputs.  #}

{#  The models that a fact is computed from.  #}
{% macro fact_inputs() %}
    {{ return(config.require('rows_of') + (config.get('members_of', {}).values() | list)) }}
{% endmacro %}

{#  The version of each input, by the name of its table.  #}
{% macro input_versions() %}
    {% set found = {} %}
    {% for model_name in fact_inputs() %}
        {% set input = ref(model_name) %}
        {% do found.update({input.schema ~ '.' ~ input.identifier: lake_state(input.schema, input.identifier).version}) %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{#  Rows in brackets, those of touched facts only.  #}
{% macro only_touched(rows, touched) %}
    {%- set per = config.require('computed_per') -%}
    {{ return('(select * from ' ~ rows ~ ' where ' ~ per ~ ' in (select ' ~ per ~ ' from ' ~ touched ~ '))') }}
{% endmacro %}

{#  The model's SQL, restricted to the rows of touched facts.  #}
{% macro sql_of_touched(sql, touched) %}
    {% set changed = namespace(sql=sql) %}
    {% for model_name in config.require('rows_of') %}
        {% set input = ref(model_name) | string %}
        {% set changed.sql = changed.sql | replace(input, only_touched(input, touched)) %}
    {% endfor %}
    {{ return(changed.sql) }}
{% endmacro %}

{#  A query of the touched values of `computed_per`; none if the inputs of `known` cannot be compared with today's.  #}
{% macro touched_query(sql, known) %}
    {% set then = known.computed_from %}
    {% if not then or then.sql != local_md5(sql) %}{{ return(none) }}{% endif %}
    {% set rows, members, unlike = [], [], [] %}
    {% for model_name in config.require('rows_of') %}
        {% set change = input_change(ref(model_name), then) %}
        {% if not change %}
            {% do unlike.append(model_name) %}
        {% elif change.files.gone or change.files.come %}
            {% do rows.append(changed_rows(change.scans, change.files, change.columns, 'gone')) %}
            {% do rows.append(changed_rows(change.scans, change.files, change.columns, 'come')) %}
        {% endif %}
    {% endfor %}
    {% for key, model_name in config.get('members_of', {}).items() %}
        {% set change = input_change(ref(model_name), then) %}
        {% if not change %}
            {% do unlike.append(model_name) %}
        {% elif change.files.gone or change.files.come %}
            {% do members.append({
                'key': key,
                'gone': changed_rows(change.scans, change.files, change.columns, 'gone'),
                'now': ref(model_name),
                'columns': change.columns | reject('equalto', key) | list,
            }) %}
        {% endif %}
    {% endfor %}
    {% if unlike %}{{ return(none) }}{% endif %}
    {{ return(touched_facts(this, config.require('computed_per'), config.require('moment'), rows, members)) }}
{% endmacro %}

{#
    How an input differs from its older version: `scans` of both versions, the `files` that only one of them has, and
    `columns`. None if it had other columns or no table.
#}
{% macro input_change(input, then) %}
    {% set was = then.scans.get(input.schema ~ '.' ~ input.identifier) %}
    {% set scans = {'gone': was, 'come': lake_state(input.schema, input.identifier).scan} %}
    {% if was is none or was == scans.come %}
        {{ return(none if was is none else {'files': {'gone': '', 'come': ''}}) }}
    {% endif %}
    {% set columns = {'gone': described(scans.gone), 'come': described(scans.come)} %}
    {% if columns.gone != columns.come %}{{ return(none) }}{% endif %}
    {% set files = {} %}
    {% for side, other in [('gone', 'come'), ('come', 'gone')] %}
        {% set only_here %}
            select distinct {{ file_of_row() }} from {{ scans[side] }}
            except
            select distinct {{ file_of_row() }} from {{ scans[other] }}
        {% endset %}
        {% set names = [] %}
        {% for name in run_query(only_here).columns[0].values() %}
            {% do names.append("'" ~ name | replace("'", "''") ~ "'") %}
        {% endfor %}
        {% do files.update({side: names | join(', ')}) %}
    {% endfor %}
    {{ return({'scans': scans, 'files': files, 'columns': columns.come | map('first') | list}) }}
{% endmacro %}
