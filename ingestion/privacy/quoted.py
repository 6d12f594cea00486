"""Cuts the values of rows out of messages of databases and libraries, by the wording of each message.

A name or any other value has no shape by which `PIIMasker` could find it. But the messages that quote one are known:
those of DuckDB and Arrow were seen; those of SQL Server, Oracle (which quotes values from 23ai on) and Spark are from
their documentation.
"""

from __future__ import annotations

import re

CUT = "***"
_LONGEST = 4_000
"""Within so many characters the known end of a message is looked for, the last one if there are several."""

_TEXT = r"n?(?:var)?char"
_BETWEEN: tuple[tuple[str, str], ...] = (
    # SQL Server: 2627 and 2601; 244, 245, 248; 2628 (8152 with details); 206, 241, 242, 8114, 8115 name types alone
    (r"duplicate key value is \(", r"\)\."),
    (rf"when converting the {_TEXT} value '", r"' to "),
    (rf"conversion of the {_TEXT} value '", r"' overflowed"),
    (r"Truncated value: '", r"'\."),
    # Oracle 23ai: 01722; 01830 to 01899; 01438; 03301, the details of 00001. 12899 and 01400 name the column alone
    (r"ORA-01722: [^\n']{0,120}'", r"' to a number"),
    (r"ORA-018\d\d: [^\n']{0,160}'", r"'"),
    (r"ORA-01438: value ", r" (?:greater|larger)"),
    (r"column values \(", r"\) already exists"),
    # DuckDB
    (r"Could not (?:convert|parse) string ['\"]", r"['\"] (?:to |according)"),
    (r"field format: \"", r"\", expected"),
    (r"Casting value \"", r"\" to type"),
    (r"conversion of string \"", r"\": "),
    (r"with value '?", r"'? can't be cast"),
    (r"Overflow in [^\n(]{0,60}\(", r"\)!"),
    (r"Failed to cast value: ", ""),
    (r"[Dd]uplicate key \"", r"\" violates"),
    (r"Malformed JSON [^\n]{0,200} Input: ", ""),
    (r"(?:Date|Timestamp|Time)[^\n:]{0,30} out of range: ", ""),
    # Arrow
    (r"Failed to parse string: '", r"' as a scalar"),
    (r"Could not convert (?!string )", r" with type"),
    (r"The string '", r"' is not a valid"),
    (r"(?:Integer|Float) value ", r" (?:not in range|was truncated|out of bounds)"),
    (r"out of bounds timestamp: ", ""),
    (r"invalid value '", ""),
    (r"CSV parse error: [^\n:]{0,60}: ", ""),
    # Spark: CAST_INVALID_INPUT, CAST_OVERFLOW, CANNOT_PARSE_TIMESTAMP
    (r"The value '?", r"'? (?:of the type|cannot be)"),
    (r"(?:Text|Unparseable date:) ['\"]", r"['\"]"),
)
_NEVER = r"(?!)"  # where nothing follows the value that could be told from it, the rest of the text is cut
_TEMPLATES = [re.compile(rf"(?s:({begin})(?:.{{0,{_LONGEST}}}({end or _NEVER})|.*))") for begin, end in _BETWEEN]
_ANY = re.compile("|".join(begin for begin, _ in _BETWEEN))


def without_quoted(text: str) -> str:
    """Return a message of a database or a library with the values that it quotes cut out."""
    if _ANY.search(text) is None:
        return text
    for template in _TEMPLATES:
        text = template.sub(_cut, text)
    return text


def _cut(found: re.Match[str]) -> str:
    return f"{found[1]}{CUT}{found[2] or ''}"
