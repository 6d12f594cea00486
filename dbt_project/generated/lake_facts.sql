{#
    What a model's source table promises: `key`, `columns`, `types` (Arrow), `tracked`, `personal`.
    Generated from data_contracts by `lakehouse contract sources`; change a contract, not this file.
#}
{% macro lake_facts(source_name, table_name) %}
{% set facts = {
    'erp.customers': {
        'key': ['customer_id'],
        'columns': ['customer_id', 'customer_name', 'email', 'phone', 'tax_id', 'segment', 'region', 'city', 'credit_limit', 'created_at', 'updated_at'],
        'types': {'customer_id': 'int64', 'customer_name': 'string', 'email': 'string', 'phone': 'string', 'tax_id': 'string', 'segment': 'string', 'region': 'string', 'city': 'string', 'credit_limit': 'decimal128(14, 2)', 'created_at': 'timestamp[us]', 'updated_at': 'timestamp[us]'},
        'tracked': ['customer_name', 'email', 'phone', 'tax_id', 'segment', 'region', 'city', 'credit_limit', 'created_at'],
        'personal': ['customer_name', 'email', 'phone', 'tax_id'],
    },
    'erp.products': {
        'key': ['product_id'],
        'columns': ['product_id', 'sku', 'product_name', 'category', 'brand', 'unit_price', 'unit_cost', 'currency', 'is_active', 'created_at', 'updated_at'],
        'types': {'product_id': 'int64', 'sku': 'string', 'product_name': 'string', 'category': 'string', 'brand': 'string', 'unit_price': 'decimal128(12, 2)', 'unit_cost': 'decimal128(12, 2)', 'currency': 'string', 'is_active': 'bool', 'created_at': 'timestamp[us]', 'updated_at': 'timestamp[us]'},
        'tracked': ['sku', 'product_name', 'category', 'brand', 'unit_price', 'unit_cost', 'currency', 'is_active', 'created_at', 'updated_at'],
        'personal': [],
    },
    'shop.order_items': {
        'key': ['order_id', 'line_number'],
        'columns': ['order_id', 'line_number', 'product_id', 'quantity', 'unit_price', 'discount', 'order_date', 'updated_at'],
        'types': {'order_id': 'int64', 'line_number': 'int32', 'product_id': 'int64', 'quantity': 'int32', 'unit_price': 'decimal128(12, 2)', 'discount': 'decimal128(12, 2)', 'order_date': 'date32[day]', 'updated_at': 'timestamp[us]'},
        'tracked': ['product_id', 'quantity', 'unit_price', 'discount', 'order_date'],
        'personal': [],
    },
    'shop.orders': {
        'key': ['order_id'],
        'columns': ['order_id', 'customer_id', 'order_date', 'status', 'channel', 'currency', 'shipping_fee', 'ordered_at', 'updated_at'],
        'types': {'order_id': 'int64', 'customer_id': 'int64', 'order_date': 'date32[day]', 'status': 'string', 'channel': 'string', 'currency': 'string', 'shipping_fee': 'decimal128(12, 2)', 'ordered_at': 'timestamp[us]', 'updated_at': 'timestamp[us]'},
        'tracked': ['customer_id', 'order_date', 'status', 'channel', 'currency', 'shipping_fee', 'ordered_at'],
        'personal': [],
    },
} %}
{% set id = source_name ~ '.' ~ table_name %}
{% if id not in facts %}
    {{ exceptions.raise_compiler_error(id ~ ': no contract has this id, or `lakehouse contract sources` was not run') }}
{% endif %}
{{ return(facts[id]) }}
{% endmacro %}
