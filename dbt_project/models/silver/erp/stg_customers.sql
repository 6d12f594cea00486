{{ scd2('erp', 'customers') }}
