"""How names, types and texts of a source are written in a contract file."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress

import pyarrow as pa

from ingestion.contracts.names import name_fault
from ingestion.contracts.types import UnknownTypeError, arrow_type, declared_type

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\([0-9A-Za-z, ]+\))?(?: [A-Za-z]+)*|\d+\.\d+\.\d+")
_LOGICAL = (
    ("boolean", pa.types.is_boolean),
    ("integer", pa.types.is_integer),
    ("timestamp", pa.types.is_timestamp),
    ("date", pa.types.is_date),
    ("array", pa.types.is_binary),
    ("number", pa.types.is_decimal),
    ("number", pa.types.is_floating),
)
# between aB, 1B and ABc, where at least two small letters follow (so that IDs stays one word)
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
_MARK = re.compile(r"\{[{%#]|[#}%]\}")
_TEMPLATED = re.compile(r"[{\r\n]")
_YAML_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})


def meaning(dialect: str, declared: str, logical_type: str | None) -> tuple[pa.DataType | None, str]:
    """
    Return the Arrow type and the ODCS type of a declaration, keeping `logical_type` where it still fits.

    A declaration of open precision has no Arrow type and is kept as exact text.
    """
    try:
        type_ = declared_type(dialect, declared)
    except UnknownTypeError:
        type_ = pa.string()  # checking the finished text reports it with a better message
    if type_ is not None and logical_type is not None:
        with suppress(UnknownTypeError):
            return arrow_type(dialect, declared, logical_type), logical_type
    logical = next((name for name, is_kind in _LOGICAL if type_ is not None and is_kind(type_)), "string")
    return type_, logical


def is_usable(dialect: str, declared: str) -> bool:
    """Return whether a contract can promise a column of that declaration."""
    try:
        declared_type(dialect, declared)
    except UnknownTypeError:
        return False
    return True


def our_name(source_name: str, taken: Iterable[str], *, empty: str = "column") -> str:
    """
    Return a name made from the source's: plain lower case letters, not reserved, not taken.

    Words are split where the case changes (`ModifiedDate`, `NationalIDNumber`), not in names that are all in upper
    case. `empty` is returned for a name without a plain letter or digit.
    """
    folded = "".join(c.casefold().upper() if c.isupper() else c.casefold() for c in source_name)
    plain = unicodedata.normalize("NFKD", folded).encode("ascii", "ignore").decode()
    words = _WORDS.sub("_", plain) if any(letter.islower() for letter in plain) else plain
    name = re.sub(r"[^a-z0-9]+", "_", words.casefold()).strip("_") or empty
    if name_fault(name):
        name = f"source_{name}"
    candidates = (name if number == 1 else f"{name}_{number}" for number in range(1, 10_000))
    return next(candidate for candidate in candidates if candidate not in taken)


def scalar(value: str, *, in_flow: bool = False, style: str | None = None) -> str:
    """Return the value as a YAML scalar, in the quotes of the old value, or unquoted if that is safe."""
    if style in ("'", '"') and not {"'", '"', "\\"} & set(value):
        return f"{style}{value}{style}"
    is_plain = _PLAIN.fullmatch(value) is not None and value.casefold() not in _YAML_WORDS
    return value if is_plain and not (in_flow and "," in value) else json.dumps(value, ensure_ascii=False)


def as_dbt_text(text: str) -> str:
    """
    Escape a text for dbt's YAML, so that dbt reads exactly this text and evaluates nothing in it.

    dbt renders every value of a YAML file as a template with access to the environment. A block `{% raw %}` does not
    help: the text could close it. So each opening brace is written as a constant expression.
    """
    return _TEMPLATED.sub(lambda mark: "{{ " + repr(mark[0]) + " }}", text) if _MARK.search(text) else text
