"""Writes docs/reference/commands.md from the command line itself."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ingestion.cli import cli

FILE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
GRAMMAR = FILE.parents[2] / "monitoring" / "advisor" / "commands.json"
_DEFAULTS = {"gaps": "check", "incidents": "list"}
"""The commands that groups have without a name."""
_HEAD = """# Commands

<!-- Written by `make golden` from the command line itself. Edit the help texts in ingestion/cli/. -->

`lakehouse` is one program with a command for each step. Run it in the project's folder or below it, or set `LAKEHOUSE_PROJECT`. Environment variables: [settings](settings.md). What a command ends with: [exit codes](exit-codes.md).

- `-h` or `--help` describes a command; `lakehouse --version` prints the version.
- `--json` prints one JSON document on standard output. Errors and progress go to standard error.
- A table is named by its contract, `<system>.<entity>`, such as `erp.customers`; `maintain` takes tables of the lake, such as `bronze.erp__customers`.
- A table that fails does not stop the others.
"""


def render() -> str:
    """Return the page: an overview, then each command with its usage, its help and its options."""
    root = click.Context(cli, info_name="lakehouse")
    found = list(_commands(root))
    working = [(path, ctx) for path, ctx in found if not isinstance(ctx.command, click.Group)]
    overview = [f"| [`{path}`](#{_anchor(path)}) | {_first_sentence(ctx)} |" for path, ctx in working]
    parts = [_HEAD, "\n".join(["| command | what it does |", "| --- | --- |", *overview]), ""]
    for path, ctx in found:
        parts += [f"## {path}", "", *_described(ctx)]
    return "\n".join(parts).rstrip() + "\n"


def grammar() -> str:
    """Return what the advisor knows of our commands: their options (1: with a value) and how many arguments they take."""
    return json.dumps(_grammar(click.Context(cli, info_name="lakehouse"))["commands"], indent=1) + "\n"


def _grammar(ctx: click.Context) -> dict[str, Any]:
    if isinstance(ctx.command, click.Group):
        named = ((name, ctx.command.get_command(ctx, name)) for name in ctx.command.list_commands(ctx))
        below = {name: _grammar(click.Context(each, info_name=name, parent=ctx)) for name, each in named if each}
        return {"commands": below} | ({"default": _DEFAULTS[ctx.info_name]} if ctx.info_name in _DEFAULTS else {})
    options = {
        name: int(not each.is_flag and not each.count)
        for each in ctx.command.params
        if isinstance(each, click.Option)
        for name in (*each.opts, *each.secondary_opts)
    }
    arguments = [each for each in ctx.command.params if isinstance(each, click.Argument)]
    least = sum(each.required for each in arguments)
    most = -1 if any(each.nargs < 0 for each in arguments) else len(arguments)
    is_open = bool(ctx.command.context_settings.get("ignore_unknown_options"))
    return {"options": options, "arguments": [least, most], "is_open": is_open}


def _commands(ctx: click.Context) -> Iterator[tuple[str, click.Context]]:
    """Yield each command below `ctx` with its full name, in the order of the help; a group comes before its commands."""
    assert isinstance(ctx.command, click.Group)
    for name in ctx.command.list_commands(ctx):
        command = ctx.command.get_command(ctx, name)
        assert command is not None
        below = click.Context(command, info_name=name, parent=ctx)
        yield below.command_path, below
        if isinstance(command, click.Group):
            yield from _commands(below)


def _described(ctx: click.Context) -> Iterator[str]:
    pieces = " ".join(ctx.command.collect_usage_pieces(ctx))
    yield from ("```", f"{ctx.command_path} {pieces}".rstrip(), "```", "")
    for paragraph in _paragraphs(ctx):
        lines = paragraph.splitlines()
        if lines[0] == "\b" or all(line.startswith("lakehouse ") for line in lines):
            yield from ("```", *(line for line in lines if line != "\b"), "```", "")
        else:
            yield from (" ".join(lines), "")
    rows = [_option(parameter) for parameter in ctx.command.params if isinstance(parameter, click.Option)]
    if rows:
        yield from ("| option | meaning |", "| --- | --- |", *rows, "")


def _option(option: click.Option) -> str:
    given = option.type
    choices = list(given.choices) if isinstance(given, click.Choice) else []
    value = "" if option.is_flag else f" {option.metavar or ('NAME' if choices else given.name.upper().split()[0])}"
    names = ", ".join(f"`{name}{value}`" for name in option.opts)
    notes = [option.help or ""]
    if choices:
        notes.append(f"One of {', '.join(f'`{choice}`' for choice in choices)}.")
    if option.required:
        notes.append("Required.")
    if option.show_default and not option.is_flag:
        notes.append(f"Default: `{option.default}`.")
    return f"| {names} | {' '.join(note for note in notes if note)} |"


def _paragraphs(ctx: click.Context) -> list[str]:
    return [part.strip("\n ") for part in inspect.cleandoc(ctx.command.help or "").split("\n\n") if part.strip("\n ")]


def _first_sentence(ctx: click.Context) -> str:
    whole = " ".join(_paragraphs(ctx)[0].splitlines())
    return re.split(r"(?<=[^.]{2}\.) (?=[A-Z])", whole)[0]


def _anchor(path: str) -> str:
    return path.replace(" ", "-")
