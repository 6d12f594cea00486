{# Texts and hashes of values. Each engine gives the same result for the same value. #}

{#  A text as a literal; for settings and JSON, never for values of rows.  #}
{% macro text_of(text) -%}
    {{ adapter.dispatch('text_of', 'lakehouse')(text) }}
{%- endmacro %}

{% macro duckdb__text_of(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}

{% macro spark__text_of(text) -%}
    '{{ text | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}

{#  Upper-case hexadecimal digits of a binary value.  #}
{% macro hex_of(value) -%}
    {{ adapter.dispatch('hex_of', 'lakehouse')(value) }}
{%- endmacro %}

{% macro default__hex_of(value) -%}
    hex({{ value }})
{%- endmacro %}

{#  A floating-point number as the 16 hexadecimal digits of its IEEE 754 double; -0.0 as 0.0, every NaN as one NaN.  #}
{% macro float_bits(value) -%}
    {{ adapter.dispatch('float_bits', 'lakehouse')('cast(case when ' ~ value ~ ' = 0 then 0 else ' ~ value ~ ' end as double)') }}
{%- endmacro %}

{% macro duckdb__float_bits(double) -%}
    hex(cast(cast(case when isnan({{ double }}) then cast('nan' as double) else {{ double }} end as bit) as blob))
{%- endmacro %}

{% macro spark__float_bits(double) -%}
    case when {{ double }} is not null then lpad(hex(cast(reflect('java.lang.Double', 'doubleToLongBits', {{ double }}) as bigint)), 16, '0') end
{%- endmacro %}

{#
    A select list of columns (pairs of name and type, see `described`). Floats get one zero: a filter on 0.0 makes Spark
    skip files that have -0.0.
#}
{% macro one_zero(columns) -%}
    {%- for name, type in columns -%}
        {%- set column = adapter.quote(name) -%}
        {%- if type in ('FLOAT', 'DOUBLE') -%}
            case when {{ column }} = 0 then cast(0 as {{ type }}) else {{ column }} end as {{ column }}
        {%- else -%}
            {{ column }}
        {%- endif -%}
        {{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#  32 lower-case hexadecimal digits of a text's MD5.  #}
{% macro hash_hex(text) -%}
    {{ adapter.dispatch('hash_hex', 'lakehouse')(text) }}
{%- endmacro %}

{% macro default__hash_hex(text) -%}
    md5({{ text }})
{%- endmacro %}

{#
    64 lower-case hexadecimal digits of a text's HMAC-SHA-256 (RFC 2104). `pads` are the inner and the outer pad of the
    key, 128 hexadecimal digits each, as `ingestion/lake/mask_salt.py` makes them.
#}
{% macro hmac_hex(text, pads) -%}
    {{ adapter.dispatch('hmac_hex', 'lakehouse')(text, 'unhex(substr(' ~ pads ~ ', 1, 128))', 'unhex(substr(' ~ pads ~ ', 129))') }}
{%- endmacro %}

{% macro duckdb__hmac_hex(text, inner, outer) -%}
    sha256({{ outer }} || unhex(sha256({{ inner }} || encode({{ text }}))))
{%- endmacro %}

{% macro spark__hmac_hex(text, inner, outer) -%}
    sha2(concat({{ outer }}, unhex(sha2(concat({{ inner }}, encode({{ text }}, 'UTF-8')), 256))), 256)
{%- endmacro %}

{#  The digits of a text.  #}
{% macro digits_of(text) -%}
    {{ adapter.dispatch('digits_of', 'lakehouse')(text) }}
{%- endmacro %}

{% macro duckdb__digits_of(text) -%}
    regexp_replace({{ text }}, '[^0-9]', '', 'g')
{%- endmacro %}

{% macro spark__digits_of(text) -%}
    regexp_replace({{ text }}, '[^0-9]', '')
{%- endmacro %}

{#
    The key of masked values: the pads of LAKEHOUSE_MASK_SALT, read from a variable of the session. As a literal it would be in
    dbt's artifacts, logs and documentation. An SQL comment after it has a mark that changes with the salt and does not
    reveal it, so that facts are recomputed after a change. Stops a model that would be written without a salt, or with
    another one than the rest of Gold (`ingestion/lake/mask_salt.py`).
#}
{% macro mask_salt() -%}
    {{ adapter.dispatch('mask_salt', 'lakehouse')() }}{{ salt_mark() }}
{%- endmacro %}

{% macro duckdb__mask_salt() -%}
    getvariable('mask_salt')
{%- endmacro %}

{#  Spark replaces the reference by the setting's value, or by an empty text if it is not set.  #}
{% macro spark__mask_salt() -%}
    nullif('${spark.lakehouse.salt}', '')
{%- endmacro %}

{% macro salt_mark() -%}
    {%- if execute -%}
        {%- set known = run_query('select fault, mark from ' ~ adapter.dispatch('lake_salt', 'lakehouse')()).rows[0] -%}
        {%- if known[0] -%}
            {{- exceptions.raise_compiler_error(known[0]) -}}
        {%- endif -%}
        {{- ' /* ' ~ known[1] ~ ' */' if known[1] -}}
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__lake_salt() %}{{ return('main.lake_salt') }}{% endmacro %}

{% macro spark__lake_salt() %}{{ return('lake_state.lake_salt') }}{% endmacro %}

{#  The number of the part that a text belongs to, from 0 to `parts` - 1. The same on every run of one engine.  #}
{% macro part_of(text, parts) -%}
    {{ adapter.dispatch('part_of', 'lakehouse')(text, parts) }}
{%- endmacro %}

{% macro duckdb__part_of(text, parts) -%}
    cast(hash({{ text }}) % {{ parts }} as integer)
{%- endmacro %}

{% macro spark__part_of(text, parts) -%}
    cast(pmod(xxhash64({{ text }}), {{ parts }}) as int)
{%- endmacro %}
