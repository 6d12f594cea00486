{{ scd2('shop', 'order_items') }}
