{#
    A personal value as it may leave the lake: the SHA-256 of its trimmed lower case behind `salt`, as a rule `mask_salt()`.
    Equal values stay equal, so people can be counted and joined. Without a secret salt anybody could test a guessed value.
#}
{% macro masked(column, salt) -%}
    {{ sha256_hex(salt ~ " || lower(trim(" ~ column ~ "))") }}
{%- endmacro %}
