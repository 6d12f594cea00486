"""What calls of a model may cost: limits in tokens and in money, and the project's dated list of prices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from ingestion.errors import ConfigurationError

VARIABLE = "LAKEHOUSE_MODEL_BUDGET"
PRICES = "advisor_prices.yaml"
"""The file of prices in the project's folder; without it no cost is known."""
VALID_FOR = timedelta(days=180)
"""How long prices are used after their date."""
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Budget:
    """Most tokens per call, UTC day and UTC month, and most money per day and month; None: money is not limited."""

    call: int
    day: int
    month: int
    day_cost: float | None = None
    month_cost: float | None = None


NO_CALLS = Budget(0, 0, 0)


def parse_budget(text: str) -> Budget:
    """Return the budget of a text such as `call=12000 day=200000 month=2000000`. Raises ConfigurationError."""
    try:
        given = {name: float(value) for name, value in (part.split("=", 1) for part in text.split())}
        tokens = {name: int(given.pop(name)) for name in ("call", "day", "month")}
        found = Budget(**tokens, **given)  # type: ignore[arg-type] # an unknown name is a TypeError
        is_limit = all(map(_is_amount, (found.call, found.day, found.month, found.day_cost, found.month_cost)))
    except (KeyError, ValueError, TypeError, OverflowError):
        is_limit = False
    if not is_limit:
        raise ConfigurationError(
            f"{VARIABLE} is {text!r}; it must be call=, day= and month= with numbers of tokens, and may have day_cost= "
            "and month_cost=. No model was asked. Correct it."
        )
    return found


def _is_amount(value: float | None) -> bool:
    """Tell whether a limit or price is one; nothing compares with a NaN, so it would limit nothing."""
    return value is None or (math.isfinite(value) and value >= 0)


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices per million tokens, input and output, by model, on a day."""

    day: date
    models: Mapping[str, tuple[float, float]]

    def cost(self, model: str, tokens_in: int, tokens_out: int) -> float | None:
        """Return what a call costs; None if the model has no price."""
        price = self.models.get(model)
        return None if price is None else (tokens_in * price[0] + tokens_out * price[1]) / _MILLION


def read_prices(project: Path, today: date) -> Prices | None:
    """
    Return the project's prices; None if it has none, or they are older than VALID_FOR.

    Raises ConfigurationError if the file is wrong.
    """
    path = project / PRICES
    if not path.is_file():
        return None
    try:
        written: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        models = {str(name): (float(each["input"]), float(each["output"])) for name, each in written["models"].items()}
        found = Prices(date.fromisoformat(str(written["date"])), models)
        is_read = found.day <= today + timedelta(days=1) and all(map(_is_amount, chain(*models.values())))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        is_read = False
    if not is_read:
        raise ConfigurationError(
            f"{path}: the prices cannot be read. No model was asked. Write `date: YYYY-MM-DD`, not in the future, and "
            "under `models:` for each model `<provider>:<model>: {input: 0.0, output: 0.0}`, per million tokens."
        )
    return found if today - found.day <= VALID_FOR else None
