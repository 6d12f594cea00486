{#
    The three rows that every dimension has, for facts that have no dimension row of their own. Their keys are these
    texts, so that queries are easy to read.
#}
{% macro fixed_members() -%}
    {{ return({'-1': 'Unknown', '-2': 'Not applicable', '-3': 'Invalid'}) }}
{%- endmacro %}
