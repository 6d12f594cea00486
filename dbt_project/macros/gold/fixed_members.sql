{#
    The three rows that every dimension has: what facts refer to when there is no row of their own.
    Keys are these texts themselves, so they read well in a query.
#}
{% macro fixed_members() -%}
    {{ return({'-1': 'Unknown', '-2': 'Not applicable', '-3': 'Invalid'}) }}
{%- endmacro %}
