"""The part of a personal value that a column with the mask `partial` shows, in DuckDB's SQL.

`dbt_project/macros/gold/partly_masked.sql` says the same for both engines; a test compares them.
"""

from __future__ import annotations


def partial_sql(column: str) -> str:
    """
    Return an expression of what is shown of a column, null of null: `j***@e***.com`, `***.***.789-00` (a CPF),
    `***-5678` (eight digits or more, with separators), else the first character and `***`.
    """
    text = f"trim(cast({column} as varchar))"
    digits = f"regexp_replace({text}, '[^0-9]', '', 'g')"
    return (
        f"case when {text} like '%_@_%._%' then left({text}, 1) || '***@' || left(split_part({text}, '@', -1), 1) "
        f"|| '***.' || left(split_part({text}, '.', -1), 6) "
        f"when length({digits}) < 8 or length({text}) > length({digits}) + 6 then left({text}, 1) || '***' "
        f"when length({digits}) = 11 and {_is_cpf(digits)} then '***.***.' || substr({digits}, 7, 3) || '-' "
        f"|| right({digits}, 2) else '***-' || right({digits}, 4) end"
    )


def _is_cpf(digits: str) -> str:
    checks = []
    for length in (9, 10):
        terms = (f"{length + 1 - at} * (ascii(substr({digits}, {at + 1}, 1)) - 48)" for at in range(length))
        checks.append(f"({' + '.join(terms)}) * 10 % 11 % 10 = ascii(substr({digits}, {length + 1}, 1)) - 48")
    return " and ".join(checks)
