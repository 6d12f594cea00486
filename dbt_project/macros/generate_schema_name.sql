{#  A model's schema is its layer alone, such as silver; dbt's default would put the target's name before it.  #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name if custom_schema_name is not none else target.schema }}
{%- endmacro %}
