{#
    What Gold shows of a personal value whose contract says `mask: partial`: j***@e***.com, ***.***.789-00 (a CPF),
    ***-5678 (eight digits or more, with separators), else the first character and ***. Null of null.
#}
{% macro partly_masked(column) -%}
    {%- set text = 'trim(cast(' ~ column ~ ' as string))' -%}
    {%- set digits = digits_of(text) -%}
    case
        when {{ text }} like '%_@_%._%'
            then left({{ text }}, 1) || '***@' || left(split_part({{ text }}, '@', -1), 1) || '***.'
                || left(split_part({{ text }}, '.', -1), 6)
        when length({{ digits }}) < 8 or length({{ text }}) > length({{ digits }}) + 6 then left({{ text }}, 1) || '***'
        when length({{ digits }}) = 11 and {{ is_check_digit(digits, 9) }} and {{ is_check_digit(digits, 10) }}
            then '***.***.' || substr({{ digits }}, 7, 3) || '-' || right({{ digits }}, 2)
        else '***-' || right({{ digits }}, 4)
    end
{%- endmacro %}

{#  True if the digit after the first `length` digits of a CPF is their check digit.  #}
{% macro is_check_digit(digits, length) -%}
    (
        {%- for at in range(length) -%}
            {{ length + 1 - at }} * (ascii(substr({{ digits }}, {{ at + 1 }}, 1)) - 48){{ ' + ' if not loop.last }}
        {%- endfor -%}
    ) * 10 % 11 % 10 = ascii(substr({{ digits }}, {{ length + 1 }}, 1)) - 48
{%- endmacro %}
