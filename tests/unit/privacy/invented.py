"""Invents personal values and texts around them, the same for a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote

PER_CLASS = 1_500
_NAMES = ("ana", "joão", "o'connor", "jürgen.müller", "maria-luiza", "x_y", "d.silva+shop", "MARIA", "li")
_DOMAINS = ("example.com", "münchen.example", "sub.example.co.uk", "ex-ample.museum", "EXAMPLE.ORG", "xn--bcher-kva.de")
_AREAS = (11, 21, 31, 48, 51, 61, 71, 85, 91, 99)
_NETWORKS = (
    ("4", 16),
    ("51", 16),
    ("2221", 16),
    ("37", 15),
    ("6011", 16),
    ("3530", 16),
    ("36", 14),
    ("4", 13),
    ("4", 19),
)


class Planted(NamedTuple):
    """A value of a class in a text; `kept` are the parts that must not be left in the masked text."""

    kind: str
    value: str
    text: str
    kept: tuple[str, ...]


def invented(seed: int, per_class: int = PER_CLASS) -> Iterator[Planted]:
    """Yield as many values of each class, in turn in each context."""
    chance = random.Random(seed)
    for kind, invent in _CLASSES.items():
        for number in range(per_class):
            value, kept = invent(chance)
            yield Planted(kind, value, CONTEXTS[number % len(CONTEXTS)](value), kept)


def _email(chance: random.Random) -> tuple[str, tuple[str, ...]]:
    name = f"{chance.choice(_NAMES)}{chance.randrange(10_000)}"
    value = f"{name}@{chance.choice(_DOMAINS)}"
    return value, (name, value)


def _phone(chance: random.Random) -> tuple[str, tuple[str, ...]]:
    area, first, last = chance.choice(_AREAS), chance.randrange(10_000), chance.randrange(10_000)
    a, b = f"9{first:04}", f"{last:04}"
    us = (chance.randrange(200, 1000), chance.randrange(200, 1000))
    value = chance.choice(
        [
            f"({area}) {a}-{b}",
            f"({area}){a}-{b}",
            f"{area} {a}-{b}",
            f"+55 {area} {a}-{b}",
            f"+55{area}{a}{b}",
            f"{area}{a}{b}",
            f"({area}) 3{a[2:]}-{b}",
            f"({us[0]}) {us[1]}-{b}",
            f"{us[0]}-{us[1]}-{b}",
            f"{us[0]}.{us[1]}.{b}",
            f"+1 {us[0]} {us[1]} {b}",
            f"+49 30 {a}{b}",
        ]
    )
    return value, (value, f"{a}{b}"[:-4])


def _cpf(chance: random.Random) -> tuple[str, tuple[str, ...]]:
    digits = f"{chance.randrange(1_000_000_000):09}"
    for length in (9, 10):
        rest = sum(int(d) * w for d, w in zip(digits, range(length + 1, 1, -1), strict=True)) % 11
        digits += str(0 if rest < 2 else 11 - rest)
    a, b, c, d = digits[:3], digits[3:6], digits[6:9], digits[9:]
    value = chance.choice([f"{a}.{b}.{c}-{d}", digits, f"{a} {b} {c} {d}", f"{a}{b}{c}-{d}", f"{a}.{b}.{c}/{d}"])
    return value, (value, f"{a}{b}")


def _card(chance: random.Random) -> tuple[str, tuple[str, ...]]:
    start, length = chance.choice(_NETWORKS)
    digits = start + "".join(str(chance.randrange(10)) for _ in range(length - len(start) - 1))
    doubled = [int(d) * (2 if at % 2 == 0 else 1) for at, d in enumerate(reversed(digits))]
    digits += str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)
    groups = (
        [digits[:4], digits[4:10], digits[10:]]
        if length in (14, 15)
        else [digits[n : n + 4] for n in range(0, length, 4)]
    )
    value = chance.choice(["", " ", "-"]).join(groups)
    return value, (value, digits[:8])


_CLASSES: dict[str, Callable[[random.Random], tuple[str, tuple[str, ...]]]] = {
    "e-mail": _email,
    "phone": _phone,
    "cpf": _cpf,
    "card": _card,
}
CONTEXTS: tuple[Callable[[str], str], ...] = (
    lambda v: f"ORA-20001: row rejected: {v} in ERP.CUSTOMERS\nORA-06512: at line 12",
    lambda v: json.dumps({"table": "erp.customers", "value": v, "rows": 12}),
    lambda v: f"level=error value={v} batch=12 table=erp.customers",
    lambda v: f'12,"{v}",2026-03-01 10:00:00,OPEN',
    lambda v: f"The customer ({v}) was asked twice; see the ticket.",
    lambda v: f"https://shop.example/search?q={quote(v)}&page=2",
    lambda v: "update customers set value = '" + v.replace("'", "''") + "' where id = 12",
)
