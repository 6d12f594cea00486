{#
    The only definition of the measures of a sale. Lines of a cancelled order stay, with measures of zero. Money has two
    decimals. The cost is null if the product is unknown or its cost is in another currency.
#}
{% macro units_sold(quantity, is_cancelled) -%}
    case when {{ is_cancelled }} then 0 else {{ quantity }} end
{%- endmacro %}

{% macro gross_revenue(quantity, unit_price, is_cancelled) -%}
    cast({{ units_sold(quantity, is_cancelled) }} * {{ unit_price }} as decimal(18, 2))
{%- endmacro %}

{% macro net_revenue(quantity, unit_price, discount, is_cancelled) -%}
    cast(
        {{ gross_revenue(quantity, unit_price, is_cancelled) }}
        - case when {{ is_cancelled }} then 0 else {{ discount }} end as decimal(18, 2)
    )
{%- endmacro %}

{% macro cost_of_sales(quantity, unit_cost, is_cancelled) -%}
    cast({{ units_sold(quantity, is_cancelled) }} * {{ unit_cost }} as decimal(18, 2))
{%- endmacro %}

{% macro gross_profit(net_revenue, cost_of_sales) -%}
    cast({{ net_revenue }} - {{ cost_of_sales }} as decimal(18, 2))
{%- endmacro %}

{#  The cost of one unit in the currency of the sale; null if the cost is in another currency.  #}
{% macro comparable_cost(unit_cost, cost_currency, currency) -%}
    case when {{ cost_currency }} <> {{ currency }} then null else {{ unit_cost }} end
{%- endmacro %}
