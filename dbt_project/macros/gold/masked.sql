{#
    A personal value as it may leave the lake: the SHA-256 of its trimmed lower case, salted by LAKEHOUSE_MASK_SALT.
    Equal values stay equal, so people can be counted and joined; without a secret salt a guess can be checked.
#}
{% macro masked(column) -%}
    {{ sha256_hex("'" ~ env_var('LAKEHOUSE_MASK_SALT', '') | replace("'", "''") ~ "' || lower(trim(" ~ column ~ "))") }}
{%- endmacro %}
