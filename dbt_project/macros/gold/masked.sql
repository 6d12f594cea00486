{#
    A personal value in the form in which Gold shows it: the SHA-256 of `salt` (usually `mask_salt()`) and the trimmed
    value in lower case. Equal values have equal hashes, so people can be counted and joined. Without a secret salt
    anybody could hash a guessed value and look for it.
#}
{% macro masked(column, salt) -%}
    {{ sha256_hex(salt ~ " || lower(trim(" ~ column ~ "))") }}
{%- endmacro %}
