"""Which names a contract may use, which ones the lake reserves, and which suggest personal data."""

from __future__ import annotations

import re

UNDESCRIBED = "Describe it."
"""What an import writes as the description of a column or table that the catalog has no comment on."""

UNSAID = "say what one of them stands for."
"""How an import ends the purpose of such a table."""

SILVER_COLUMNS = frozenset({"sk", "valid_from", "valid_to", "is_current", "is_deleted", "row_hash"})

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
# no double underscore: `<system>__<entity>` must split in one way only
_PLACE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_PERSONAL = re.compile(
    r"(?:^|_)(?:"
    r"e?mail|e_mail|phone|telephone|mobile|fax|telefone|celular"
    r"|cpf|ssn|(?:tax|national|personal|passport|social_security)_?(?:id|no|nr|num|number|code)|passport|iban"
    r"|(?:credit_?|debit_?|bank_?)?card_?(?:no|nr|num|number)|(?:bank_?)?account_?(?:no|nr|num|number)"
    r"|(?:first|last|middle|full|given|family|maiden|sur|fore|nick|birth|contact|holder)_?names?"
    r"|(?:customer|client|cust|user|employee|emp|patient|person|reviewer|member|passenger|recipient|login)_?names?|login_?id"
    r"|dob|birth(?:s|_?day|_?date|_?place)?|nascimento"
    r"|street(?:_address)?|address_?(?:line)?_?[0-9]*|addr_?[0-9]*|endereco"
    r")(?:_|[0-9]|$)"
)
# a fact about such a value, or only its year, is not the value itself
_ABOUT = re.compile(
    r"(?:^|_)(?:year_of_birth|birth_year|year_born|web_address)(?:_|$)"
    r"|(?:mail|phone|address|addr|name|mobile|fax|card|account)s?_"
    r"(?:(?:\w+_)?(?:id|type|kind|status|code|count|flag|promotion|style|format|verified|confirmed|opt_in|opt_out|at|on))$"
)


def is_identifier(name: str) -> bool:
    return _IDENTIFIER.fullmatch(name) is not None


def is_place(name: str) -> bool:
    """Return whether the name can be a system or an entity."""
    return _PLACE.fullmatch(name) is not None


def looks_personal(name: str) -> bool:
    """Return whether a column of that name (ours) most likely holds data that identifies a person."""
    return _PERSONAL.search(name) is not None and _ABOUT.search(name) is None


def name_fault(name: str) -> str | None:
    """Return why a column cannot have that name, or None."""
    if name.startswith("_"):
        return f"names that start with _ are kept for the lake's own columns; write e.g. {name.lstrip('_') or 'code'}"
    if not is_identifier(name):
        return "is not a column name; write lower case letters, digits and _, and begin with a letter"
    if name in SILVER_COLUMNS:
        return f"is a column that Silver adds itself; write e.g. source_{name} and keep physicalName as it is"
    return None


def is_described(text: str) -> bool:
    """Return whether a description was written by somebody, and is not an import's request for one."""
    return bool(text.strip()) and not text.strip().endswith((UNDESCRIBED, UNSAID))
