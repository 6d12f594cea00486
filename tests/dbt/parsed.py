"""
Parses the shipped project once, when this module is imported. Each dbt run of a test worker is a fork of that process.

In a fork dbt is already imported, its classes are prepared, its macros are compiled, and the saved parse is put where
dbt looks for one. dbt itself parses the files again that a project changed, and the whole project if its settings, the
version, the connection or the variables are others. Its manifest.json is written only where dbt's log or its artifacts are asked for. dbt finds a compiled
macro by the macro's text: one that a project changed is compiled by the fork.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt.parser import manifest as parser
from dbt.task import runnable
from dbt_common.clients.jinja import template_cache

PROJECT = Path(__file__).parents[2] / "dbt_project"
_FOLDER = Path(tempfile.mkdtemp(prefix="dbt-parsed-"))
_PARSE = _FOLDER / "partial_parse.msgpack"
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)  # only this process runs it: forks skip exit handlers


def take_over(environment: Mapping[str, str], arguments: Sequence[str]) -> dict[str, str]:
    """Give this fork's dbt the saved parse; return the variables to run it with."""
    taken = Path(environment["DBT_TARGET_PATH"], _PARSE.name)
    if not _PARSE.exists():
        return dict(environment)
    is_asked = "DBT_WRITE_JSON" in environment or "docs" in arguments
    if environment.get("DBT_LOG_LEVEL_FILE") == "none" and not is_asked:
        for module in (parser, runnable):
            vars(module)["write_manifest"] = lambda *_, **__: None
    if not taken.exists():
        taken.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_PARSE, taken)
    return {**environment, "DBT_PROFILES_DIR": str(PROJECT)}  # the same profile; its folder is part of the connection


def _import() -> None:
    """Import modules that a dbt run would import only when it needs them."""
    for name in ("dbt.adapters.duckdb", "dbt.task.build", "dbt.task.show", "dbt_common.clients.agate_helper"):
        import_module(name)
    for name in ("lake.embedded.rebuild", "lake.embedded.rewrite", "lake.mask_salt", "ledger.tables"):
        import_module(f"ingestion.{name}")


def _parse() -> None:
    """
    Parse the project and compile its macros. If the parse fails, the forks parse it themselves and report the errors.

    dbt's static parser is off: its threads do not exist in a fork, which would wait for them forever.
    """
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("DBT_", "LAKEHOUSE_")):
            del os.environ[name]
    places = ("--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target-path", _FOLDER, "--log-path", _FOLDER)
    parsed = dbtRunner().invoke(["--quiet", "--no-static-parser", "parse", *map(str, places)]).result
    os.environ.clear()
    os.environ.update(before)
    if isinstance(parsed, Manifest):
        Manifest.from_msgpack(_PARSE.read_bytes())  # which prepares the classes of a saved parse
        for macro in parsed.macros.values():
            if "spark" not in macro.name:  # on DuckDB they are not called
                template_cache.get_node_template(macro)


_import()
_parse()
gc.collect()
gc.freeze()  # no fork examines again what was there before it
