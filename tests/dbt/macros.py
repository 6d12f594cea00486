"""Renders the project's own macros outside dbt, so that a thousand logs can be tried in the time of one dbt start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

PROJECT = Path(__file__).parents[2] / "dbt_project"


class _Adapter:
    """What macros ask of dbt's adapter: quoting and dispatch to the variant of a dialect."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.macros: dict[str, Callable[..., str]] = {}

    def quote(self, name: str) -> str:
        return f"`{name}`" if self.dialect == "spark" else f'"{name}"'

    def dispatch(self, name: str, package: str) -> Callable[..., str]:
        assert package == "lakehouse"
        return self.macros.get(f"{self.dialect}__{name}") or self.macros[f"default__{name}"]


def load_macros(dialect: str = "duckdb") -> dict[str, Callable[..., str]]:
    """Return every macro of the project that needs neither the graph nor a connection, by name."""
    adapter = _Adapter(dialect)
    folders = [PROJECT / place for place in ("macros/dialect", "macros/scd2", "macros/gold", "measures")]
    files = sorted(file for folder in folders for file in folder.glob("*.sql"))
    files += [PROJECT / "macros" / f"{name}.sql" for name in ("quoted", "same_key", "row_difference")]
    text = "\n".join(file.read_text() for file in files)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    module: Any = environment.from_string(text).make_module({"adapter": adapter, "execute": False, "return": str})
    adapter.macros.update({name: value for name, value in vars(module).items() if callable(value)})
    return adapter.macros
