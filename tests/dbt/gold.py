"""Renders Gold's models outside dbt, on tables of a DuckDB connection that have the models' own names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jinja2
import yaml

from tests.dbt.macros import PROJECT, load_macros

GOLD = PROJECT / "models" / "gold" / "sales"


class _Returned(Exception):  # noqa: N818 - it is no error: dbt's macros return by it
    def __init__(self, value: Any) -> None:
        self.value = value


class Facts(dict):  # type: ignore[type-arg]
    """A dict whose keys read as attributes, as in Jinja under dbt."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


def _return(value: Any) -> None:
    raise _Returned(value)


def _returning(macro: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return macro(*args, **kwargs)
        except _Returned as returned:
            return returned.value

    return called


def _refuse(message: str) -> None:
    raise ValueError(message)


def variables() -> dict[str, Any]:
    """Return the project's variables as they ship."""
    shipped: dict[str, Any] = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    return shipped


def lake_facts(contract_id: str) -> Facts:
    """Return what the project knows of a Bronze table."""
    text = (PROJECT / "generated" / "lake_facts.sql").read_text()
    module: Any = jinja2.Environment().from_string(text).make_module({"return": _return})
    return Facts(_returning(module.lake_facts)(*contract_id.split(".")))


def render(model: str, changed: Mapping[str, Any] | None = None) -> str:
    """Return the SQL of a Gold model. A `ref` is the bare name; variables are the shipped ones but for `changed`."""
    known = {**variables(), **(changed or {})}
    text = (PROJECT / "macros" / "gold" / "fixed_members.sql").read_text()
    fixed: Any = jinja2.Environment().from_string(text).make_module({"return": _return})
    context: dict[str, Any] = {
        **load_macros(),
        "fixed_members": _returning(fixed.fixed_members),
        "ref": lambda name: name,
        "var": known.__getitem__,
        "config": lambda **_: "",
        "exceptions": Facts(raise_compiler_error=_refuse),
    }
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string((GOLD / f"{model}.sql").read_text())
    return template.render(context)


def config_of(model: str) -> dict[str, Any]:
    """Return what a model tells dbt about itself in its first statement."""
    told: dict[str, Any] = {}
    text = (GOLD / f"{model}.sql").read_text().split("}}", 1)[0] + "}}"
    jinja2.Environment().from_string(text).render({"config": lambda **given: told.update(given) or ""})
    return told
