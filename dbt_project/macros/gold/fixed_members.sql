{#
    The three rows that every dimension has: what facts refer to when there is no row of their own.
    The keys are these texts themselves, so that queries are easy to read.
#}
{% macro fixed_members() -%}
    {{ return({'-1': 'Unknown', '-2': 'Not applicable', '-3': 'Invalid'}) }}
{%- endmacro %}
