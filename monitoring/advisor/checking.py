"""Holds a model's answer to its form: sources that it was given, our own commands, names that exist. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from monitoring.advisor.causes import BY_NAME
from monitoring.advisor.signs import quoted
from monitoring.advisor.values import Action, Advice, Evidence, Names

NEVER = frozenset(
    {"erase", "drill", "demo", "waive", "run-operation", "--yes", "--allow-deletes", "--full-refresh", "--restart"}
)
"""Commands and options that no model may suggest: they remove something, or approve it."""
_SHELL = re.compile(r"[;&|$<>`\\\n\r(){}*?\[\]!#~]")
_TABLE = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cited(_Form):
    """One piece of a model's evidence."""

    source_id: str = Field(max_length=200)
    quote: str = Field(max_length=600)


class Suggested(_Form):
    """What a model suggests to do."""

    text: str = Field(min_length=1, max_length=1_500)
    command: str | None = Field(max_length=300)


class ModelAnswer(_Form):
    """The form in which a model answers; strict servers want every field present. `cause` is one of `causes.yaml`."""

    cause: str | None = Field(max_length=60)
    root_cause: str = Field(min_length=1, max_length=2_000)
    evidence: list[Cited] = Field(max_length=12)
    recommended_action: Suggested
    confidence: float = Field(ge=0, le=1)


def checked(answer: ModelAnswer, sources: Collection[str], names: Names, name: str) -> Advice | str:
    """
    Return a model's answer as an advice, or in words why it is rejected.

    A command that is not one of ours is dropped, not rejected: the answer may be right without it.
    """
    unknown = [cited.source_id for cited in answer.evidence if cited.source_id not in sources]
    if unknown:
        return "it cites a source that it was not given"
    if not answer.evidence:
        return "it cites no source"
    ghosts = _ghosts(f"{answer.root_cause} {answer.recommended_action.text}", names)
    if ghosts:
        return "it names a table that the project does not have"
    cause = BY_NAME.get(answer.cause or "")
    return Advice(
        None if cause is None else cause.name,
        _plain(answer.root_cause),
        tuple(Evidence(cited.source_id, quoted(cited.quote)) for cited in answer.evidence),
        Action(_plain(answer.recommended_action.text), own_command(answer.recommended_action.command, names)),
        answer.confidence,
        advisor=name,
        runbook=None if cause is None else cause.runbook,
    )


def own_command(text: str | None, names: Names) -> str | None:
    """Return a command if our command line knows it and its tables exist, and it removes nothing; else None."""
    if not text or _SHELL.search(text):
        return None
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    if words[:1] != ["lakehouse"] or NEVER & {word.partition("=")[0] for word in words}:
        return None
    return shlex.join(words) if _parses(words[1:]) and not _ghosts(text, names) else None


def _ghosts(text: str, names: Names) -> list[str]:
    """Return what looks like a table of one of the project's systems, or a model of it, and does not exist."""
    systems = {id_.partition(".")[0] for id_ in names.tables}
    named = [name for name in _TABLE.findall(text) if name.partition(".")[0] in systems and name not in names.tables]
    prefixes = {model.partition("_")[0] for model in names.models if "_" in model}
    models = re.findall(r"\b[a-z]+_[a-z0-9_]+\b", text)
    known = {*names.models, *(column for own in names.columns.values() for column in own)}
    return named + [m for m in models if m.partition("_")[0] in prefixes and m not in known]


def _parses(words: Sequence[str]) -> bool:
    """Tell whether the words are a command with its options and so many arguments as it takes."""
    node: dict[str, Any] = {"commands": grammar()}
    rest = list(words)
    while "commands" in node:
        if rest and rest[0] in node["commands"]:
            node = node["commands"][rest.pop(0)]
        elif "default" in node:
            node = node["commands"][node["default"]]
        else:
            return False
    arguments = 0
    while rest:
        word = rest.pop(0)
        name, is_joined, _ = word.partition("=")
        if not word.startswith("-"):
            arguments += 1
        elif name not in node["options"]:
            if not node["is_open"]:
                return False
        elif node["options"][name] and not is_joined:
            if not rest:
                return False
            rest.pop(0)
    least, most = node["arguments"]
    return bool(arguments >= least and (most < 0 or arguments <= most))


@cache
def grammar() -> dict[str, Any]:
    """Return the commands of our command line; `make golden` writes the file."""
    read: dict[str, Any] = json.loads(Path(__file__).with_name("commands.json").read_text())
    return read


def _plain(text: str) -> str:
    return " ".join(text.split())
