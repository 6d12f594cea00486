"""How each dialect quotes a name or a text. Texts are paths, settings and constants; values of rows are bound. Pure."""

from __future__ import annotations


def quote_standard(name: str) -> str:
    """Return a name as DuckDB and the SQL standard quote it."""
    return '"' + name.replace('"', '""') + '"'


def quote_oracle(name: str) -> str:
    """Return a name as a quoted identifier of Oracle, which has no escape for a quote within. Raises ValueError."""
    if '"' in name or "\0" in name:
        raise ValueError("a name of Oracle holds no quotation mark")
    return f'"{name}"'


def quote_sqlserver(name: str) -> str:
    """Return a name as a delimited identifier of SQL Server."""
    return "[" + name.replace("]", "]]") + "]"


def quote_spark(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def text_literal(text: str) -> str:
    """Return a text as a constant of standard SQL."""
    return "'" + text.replace("'", "''") + "'"


def spark_text_literal(text: str) -> str:
    """Return a text as a constant of Spark, where a backslash escapes the next letter."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
