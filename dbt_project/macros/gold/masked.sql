{#
    A personal value in the form in which Gold shows it: the HMAC-SHA-256 of the trimmed value in lower case, keyed by
    `salt` (usually `mask_salt()`). Equal values have equal hashes, so people can be counted and joined. Without a secret
    salt anybody could hash a guessed value and look for it.
#}
{% macro masked(column, salt) -%}
    {{ hmac_hex("lower(trim(" ~ column ~ "))", salt) }}
{%- endmacro %}
