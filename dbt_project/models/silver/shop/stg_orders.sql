{{ scd2('shop', 'orders') }}
