"""Builds Silver and Gold with one dbt process per layer, and checks its results against the plan."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from ingestion import scratch, shipped
from ingestion.build import publication
from ingestion.build.dbt_process import OnLine, code_of, output_of
from ingestion.build.models import BAD, note_models, reason_of, short
from ingestion.build.parse_cache import ParseCache
from ingestion.contracts.writing.files import write_whole
from ingestion.errors import BuildError, ConcurrentWriteError, ConfigurationError, InvalidContractError
from ingestion.lake.base import ONE_WRITER
from ingestion.lake.mask_salt import SALT, check_salt, keep_fingerprint
from ingestion.privacy.foreign import foreign_text
from ingestion.runs.context import Context
from ingestion.settings import Settings

TARGET = "LAKEHOUSE_DBT_TARGET"  # a cluster's output in profiles.yml, instead of Spark in dbt's own process
LAYERS = ("silver", "gold", "audit")
# dbt's lines about its progress. Its other lines may quote a row's value in an error of the database.
_PROGRESS = re.compile(
    r"\d\d:\d\d:\d\d  (\d+ of \d+ |Running with dbt|Registered adapter|Found |Concurrency: |"
    r"Finished running |Completed |Done\.)"
)
_SELECTION = {layer: [f"path:models/{layer}"] for layer in LAYERS}


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What one dbt process did: names of its models, number of tests, warnings, and seconds in all."""

    layer: str
    run_id: str
    models: tuple[str, ...]
    tests: int
    warnings: tuple[str, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def build_layer(
    context: Context,
    layer: str,
    *,
    full_refresh: bool = False,
    without: Sequence[str] = (),
    unit_tests: bool = False,
    new_salt: bool = False,
    keep: Path | None = None,
    on_line: OnLine | None = None,
) -> BuildResult:
    """
    Build a layer (`silver`, `gold`, `audit`, or `all`), its data tests included.

    `without` names contracts whose load failed: models that depend on their sources are left out. A run
    with nothing new commits nothing. With `new_salt` the configured salt replaces the lake's.
    `on_line` gets dbt's lines about its progress, when it prints them, and none that may quote a row.
    How each model ended is in `ops.models` afterwards, however the build ends, and in dbt's form in the folder `keep`.

    Raises:
        BuildError: a model or a test failed, one that was planned did not run, or dbt took too long.
        ConfigurationError: Gold would hold hashes of personal values without a salt, or with another one than before.
    """
    if layer not in (*LAYERS, "all"):
        raise ConfigurationError(f"{layer}: no such layer; there are silver, gold, audit and all. Nothing was built.")
    with context.recorded(layer, "dbt") as row:
        if new_salt:
            keep_fingerprint(context.lake, context.settings.salt(), anew=True)
        result = run_build(
            context,
            layer,
            full_refresh=full_refresh,
            without=without,
            unit_tests=unit_tests,
            on_line=None if on_line is None else progress_only(on_line),
            is_recorded=True,
            keep=keep,
        )
        row["message"] = "; ".join(result.warnings) or f"{len(result.models)} models, {result.tests} tests"
        row["status"] = "warning" if result.warnings else "ok"
        return result


def run_build(
    context: Context,
    layer: str,
    environment: Mapping[str, str] | None = None,
    *,
    full_refresh: bool = False,
    without: Sequence[str] = (),
    unit_tests: bool = False,
    on_line: OnLine | None = None,
    is_recorded: bool = False,
    keep: Path | None = None,
) -> BuildResult:
    """
    Do what `build_layer` does, with further environment variables and without a row of the step in the ledger.

    `layer` may also be several layers, joined by `+`.
    """
    salt = _salt_of(context, layer)
    with scratch.folder("dbt") as target:
        arguments = _arguments(layer, full_refresh=full_refresh, without=without, unit_tests=unit_tests)
        code, output = _run_dbt(context, arguments, target, {**(environment or {}), SALT: salt}, on_line)
        if is_recorded:
            note_models(context, layer, target)
        if keep is not None:
            keep_results(target / "run_results.json", keep)
        return read_results(context, layer, target, code, output)


def keep_results(file: Path, folder: Path) -> None:
    """Write dbt's results into a folder, without its messages, which may quote rows. Nothing if dbt wrote none."""
    if not file.is_file():
        return
    document = json.loads(file.read_text())
    for result in document["results"]:
        result["message"] = None
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / file.name, json.dumps(document))


def progress_only(on_line: OnLine) -> OnLine:
    """Return a function that passes on dbt's lines about its progress, which never quote a row."""

    def pass_on(line: str) -> None:
        if _PROGRESS.match(line):
            on_line(line)

    return pass_on


def generate_docs(context: Context, folder: Path) -> None:
    """Write dbt's documentation (manifest, catalog, page) of the whole project into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    code, output = _run_dbt(context, ["docs", "generate"], folder)
    if code:
        raise BuildError(f"docs: dbt ended with code {code}. The lake is unchanged.\n{_tail(output)}")
    _leave_out_unit_tests(folder / "manifest.json")


def _leave_out_unit_tests(file: Path) -> None:
    """Take the unit tests out of the pages, whose lineage would show each of them as a table beside its model."""
    manifest = json.loads(file.read_text())
    manifest["unit_tests"] = {}
    for name in ("parent_map", "child_map"):
        manifest[name] = {
            node: [other for other in others if not other.startswith("unit_test.")]
            for node, others in manifest[name].items()
            if not node.startswith("unit_test.")
        }
    write_whole(file, json.dumps(manifest))


def _salt_of(context: Context, layer: str) -> str:
    """
    Return the salt that dbt gets: looked up in the store of secrets only if Gold is built from personal columns.

    Raises ConfigurationError if Gold would be built from them without the salt of their hashes.
    """
    is_gold = not {"gold", "all"}.isdisjoint(layer.split("+")) and not _has_no_gold(context.settings.dbt_project)
    if is_gold and any(_has_persons(context, i) for i in context.contract_ids()):
        salt, secrets = context.settings.salt(), context.settings.secrets
        if not salt and secrets.reaches_out:
            secrets.get(SALT)  # raises, and says where it was looked for
        check_salt(context.lake, salt)
        return salt
    return context.settings.mask_salt


def _has_no_gold(dbt_project: Path) -> bool:
    """Return whether the project has models and none of them is Gold's: then nothing is hashed."""
    models = dbt_project / "models"
    return models.is_dir() and not any(path.suffix in (".sql", ".py") for path in (models / "gold").rglob("*"))


def _has_persons(context: Context, contract_id: str) -> bool:
    try:
        return any(column.is_personal for column in context.contract(contract_id).columns)
    except InvalidContractError:  # that table's own fault; dbt uses the last generated version
        return False


def _arguments(layer: str, *, full_refresh: bool, without: Sequence[str], unit_tests: bool) -> list[str]:
    layers = LAYERS if layer == "all" else layer.split("+")
    arguments = ["build", "--select", *(selector for name in layers for selector in _SELECTION[name])]
    if without:
        arguments += ["--exclude", *(f"source:{contract_id}+" for contract_id in without)]
    if full_refresh:
        arguments.append("--full-refresh")
    if not unit_tests:
        arguments += ["--exclude-resource-type", "unit_test"]
    return arguments


def _run_dbt(
    context: Context,
    arguments: Sequence[str],
    target: Path,
    further: Mapping[str, str] | None = None,
    on_line: OnLine | None = None,
) -> tuple[int, str]:
    settings = context.settings
    environment = {
        **_environment(settings, target / "spill"),
        "LAKEHOUSE_ROOT": context.lake.root,
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target / "logs"),
        "DBT_LOG_LEVEL_FILE": "none",  # no log file: its folder is deleted after the build
        **({} if on_line is None else {"DBT_LOG_LEVEL": "info"}),
        **(further or {}),
    }
    command = [*_dbt(settings), "--no-use-colors", *arguments]
    cache = ParseCache(settings.dbt_project, settings.contracts, environment[TARGET])
    cache.lay_out(target)
    folder, seconds = settings.dbt_project, settings.dbt_seconds
    ended = output_of(command, folder=folder, environment=environment, seconds=seconds, on_line=on_line)
    cache.keep(target)
    return ended


def run_dbt(settings: Settings, arguments: Sequence[str]) -> int:
    """Run dbt on the project with a build's settings; return its exit code. It uses this process's streams."""
    with scratch.folder("dbt") as folder:
        environment = {
            "DBT_WRITE_JSON": "true",
            "DBT_LOG_LEVEL": "info",
            **_environment(settings, folder / "spill"),
            SALT: settings.mask_salt if _has_no_gold(settings.dbt_project) else settings.salt(),
            "LAKEHOUSE_ROOT": settings.lake_root,
        }
        return code_of([*_dbt(settings), *arguments], folder=settings.dbt_project, environment=environment)


def _environment(settings: Settings, spill: Path) -> dict[str, str]:
    """Return the variables by which dbt and its plugins find the project, the shipped code and the settings."""
    engine = settings.engine
    return {
        **os.environ,
        "LAKEHOUSE_PROJECT": str(settings.project),
        "LAKEHOUSE_MEMORY": settings.memory_limit,
        SALT: settings.mask_salt,
        "LAKEHOUSE_SPILL": str(spill),
        "DBT_PROJECT_DIR": str(settings.dbt_project),
        "DBT_PROFILES_DIR": str(shipped.dbt_file(settings.dbt_project, "profiles.yml").parent),
        shipped.DBT_CODE: str(shipped.DBT),
        TARGET: (os.environ.get(TARGET) if engine == "spark" else None) or engine,
    }


def _dbt(settings: Settings) -> list[str]:
    """Return the command that runs dbt on the engine. Raises ConfigurationError if dbt is not installed."""
    dbt, on_spark = Path(sys.executable).with_name("dbt"), settings.engine == "spark"
    if not dbt.exists() or (on_spark and not any(distributions(name="dbt-spark"))):
        raise ConfigurationError(
            f"{'dbt-spark' if on_spark else 'dbt'}: not installed beside this Python interpreter. "
            f"Nothing was built. Install the package again: {shipped.pip_install(*['spark'] if on_spark else [])}"
        )
    return [
        sys.executable,
        str(shipped.dbt_file(settings.dbt_project, "plugins") / f"on_{'spark' if on_spark else 'duckdb'}.py"),
    ]


def read_results(context: Context, layer: str, target: Path, code: int, output: str) -> BuildResult:
    """Read `run_results.json`. Raises BuildError unless everything selected succeeded."""
    file = target / "run_results.json"
    if not file.exists():
        raise BuildError(
            f"{layer}: dbt ended with code {code} before it built anything. Nothing was built.\n{_tail(output)}"
        )
    given = json.loads(file.read_text())
    results = {entry["unique_id"]: entry for entry in given["results"]}
    published = publication.told(results)
    results.pop(publication.HOOK, None)
    failed = [name for name, entry in results.items() if entry["status"] in BAD]
    models = tuple(sorted(name.split(".")[-1] for name in results if name.startswith("model.")))
    tests = sum(1 for name in results if name.startswith(("test.", "unit_test.")))
    _raise_if_race_lost(layer, failed, results, published)
    if failed or code:
        lines = [f"  {short(name)}: {results[name]['status']}{reason_of(results[name])}" for name in failed]
        tables = _state_of_tables(failed, published)
        raise BuildError(
            f"{layer}: {len(failed)} of {len(results)} dbt nodes did not end well.{tables}\n"
            + "\n".join(lines or [_tail(output)])
            + f"\nCorrect the cause and run `lakehouse build {layer}` again."
        )
    warned = tuple(f"{short(name)} warned" for name, entry in results.items() if entry["status"] == "warn")
    return BuildResult(layer, context.run_id, models, tests, warned, float(given["elapsed_time"]))


def _raise_if_race_lost(
    layer: str, failed: Sequence[str], results: Mapping[str, Mapping[str, Any]], published: str
) -> None:
    """Raise ConcurrentWriteError if the only fault is that another writer committed first."""
    told = {name: results[name].get("message") or "" for name in failed if results[name]["status"] != "skipped"}
    told |= publication.faults(published)
    if told and all(ONE_WRITER in message for message in told.values()):
        raise ConcurrentWriteError(
            f"{layer}: another writer committed first to "
            f"{', '.join(sorted(map(short, told)))}. Nothing of those and of what is built of them was kept; the lake "
            f"is whole. Run it again: lakehouse build {layer}"
        )


def _state_of_tables(failed: Sequence[str], published: str) -> str:
    """Say what readers of the lake see: a failed model writes nothing, and a table may be published without a test."""
    told = ""
    if any(name.startswith("model.") for name in failed):
        told += " Models that failed or were skipped wrote nothing: their tables are as they were."
    return f"{told} {published}".rstrip()


def _tail(output: str) -> str:
    return foreign_text("\n".join(output.strip().splitlines()[-12:]))
