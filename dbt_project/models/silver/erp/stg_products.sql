{{ scd2('erp', 'products') }}
