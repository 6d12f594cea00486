"""Marked personal values go through a whole lake, faults included, and are looked for in all that leaves it."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from ingestion.cli import cli
from ingestion.demo.clock import DAY_1, DAY_2
from ingestion.demo.files import SYSTEMS, SourceFiles
from ingestion.demo.world import World, apply_day_2, create_day_1
from ingestion.settings import Settings
from monitoring.web.api import ROUTES
from monitoring.web.app import create_app
from monitoring.web.site import Site
from tests.advisor.model_server import serving
from tests.dbt.data_tests import without_data_tests
from tests.dbt.warm import run_dbt
from tests.examples import LONG

pytestmark = pytest.mark.xdist_group("canary")  # they share a lake
ROOT = Path(__file__).parents[2]
CANARY = re.compile(rb"kanarie|Zephyrine|(?<!\d)5599777\d{7}|(?<!\d)77700\d{6}(?!\d)")
PLANT = (
    "update erp.RETAIL.CUSTOMERS set CUSTOMER_NAME = 'Zephyrine ' || CUSTOMER_ID, "
    "EMAIL = 'kanarie' || CUSTOMER_ID || '@example.com', PHONE = '+5599777' || lpad(CUSTOMER_ID::varchar, 7, '0'), "
    "TAX_ID = '77700' || lpad(CUSTOMER_ID::varchar, 6, '0') where CUSTOMER_NAME not like 'Zephyrine%'"
)
NEWEST = "CUSTOMER_ID in (select CUSTOMER_ID from erp.RETAIL.CUSTOMERS order by UPDATED_AT desc limit 2 offset {})"
TROUBLE = (
    f"update erp.RETAIL.CUSTOMERS set EMAIL = 'kanarie is no address' where {NEWEST.format(0)}",
    f"update erp.RETAIL.CUSTOMERS set PHONE = 'kanarie', TAX_ID = 'kanarie' where {NEWEST.format(2)}",
    f"insert into erp.RETAIL.CUSTOMERS select * from erp.RETAIL.CUSTOMERS where {NEWEST.format(4)}",
    "alter table erp.RETAIL.CUSTOMERS add column NICKNAME varchar default 'kanarie of all'",
    f"delete from erp.RETAIL.CUSTOMERS where {NEWEST.format(6)}",
)
BREAK = (
    "alter table erp.RETAIL.CUSTOMERS rename to CUSTOMERS_BEFORE",
    "create view erp.RETAIL.CUSTOMERS as select * replace (cast(EMAIL as decimal(14,2)) as CREDIT_LIMIT) "
    "from erp.RETAIL.CUSTOMERS_BEFORE",
)
"""A table whose read fails with the database's message `Could not convert string 'kanarie1@…' to DECIMAL(14,2)`."""
COMMANDS = (
    ("status",),
    ("status", "--json"),
    ("doctor",),
    ("quarantine", "list"),
    ("quarantine", "show", "erp.customers"),
    ("quarantine", "show", "erp.customers", "--format", "json", "--output", "quarantined.json"),
    ("quarantine", "show", "erp.customers", "--format", "parquet", "--output", "quarantined.parquet"),
    ("gaps",),
    ("gaps", "--last", "--json"),
    ("gaps", "erp.customers", "--keys", "--format", "csv", "--output", "keys.csv"),
    ("gaps", "advise"),
    ("repair", "erp.customers", "--yes"),
    ("quarantine", "replay", "erp.customers"),
)

LAST = (
    ("status", "--json"),
    ("explain", "--last"),
    ("ask", "Why did the load of erp.customers fail?"),
    ("incidents", "check"),
    ("incidents", "list", "--json"),
    ("report", "--html", "report"),
)


PAGES = ("/pipeline", "/incidents", "/advisor")


@dataclass
class Cage:
    """The world of the canaries: what was printed and logged, by command, and the exit codes."""

    folder: Path
    printed: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def run(self, *arguments: str) -> None:
        command = " ".join(arguments)
        told = CliRunner().invoke(cli, arguments)
        self.printed[f"{len(self.printed)} {command}"] = told.stdout + told.stderr
        self.codes[command] = told.exit_code

    def change(self, *statements: str) -> None:
        with duckdb.connect() as connection:
            connection.execute(f"attach '{self.folder / 'erp.duckdb'}' as erp")
            for statement in statements:
                connection.execute(statement)

    def show(self) -> None:
        """Ask the page's API and its metrics for all they tell of this lake."""
        site = Site(Settings.from_environ(os.environ))
        with TestClient(create_app(site)) as client:
            paths = ("/metrics", *(f"/api/v1{path}" for path, *_ in ROUTES if "{" not in path))
            pages = ("/ask?q=why+did+erp.customers+fail", "/ask?kind=load_failed&subject=erp.customers", *PAGES)
            for path in (*paths, "/api/v1/metrics/erp.customers", *pages):
                answer = client.get(path)
                self.printed[f"{len(self.printed)} {path}"] = answer.text
                self.codes[path] = answer.status_code
        site.close()

    def dbt(self, *arguments: str) -> int | None:
        """Run dbt as a person would who keeps its artifacts and its whole log."""
        outputs = self.folder / "dbt.out", self.folder / "dbt.err"
        environment = {
            "LAKEHOUSE_ROOT": str(self.lake),
            "LAKEHOUSE_MASK_SALT": "a salt of the tests",
            "LAKEHOUSE_SPILL": str(self.folder / "spill"),
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
            "DBT_LOG_LEVEL_FILE": "debug",
            "DBT_WRITE_JSON": "true",
        }
        code = run_dbt(["--no-use-colors", *arguments], self.folder / "dbt_project", environment, outputs)
        self.printed[f"{len(self.printed)} dbt"] = "".join(path.read_text() for path in outputs)
        return code


@pytest.fixture(scope="module")
def cage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cage]:
    """Both days, with faults of every kind, a read that the database ends with a row in its message, and a build."""
    made = Cage(tmp_path_factory.mktemp("cage"))
    for name in ("data_contracts", "dbt_project"):
        shutil.copytree(ROOT / name, made.folder / name, ignore=shutil.ignore_patterns("target", "logs"))
    world, sources = World(seed=3, scale=0.02), SourceFiles(made.folder)
    with pytest.MonkeyPatch.context() as patch, _logged(made):
        patch.chdir(made.folder)
        patch.setenv("LAKEHOUSE_PROJECT", str(made.folder))
        patch.setenv("LAKEHOUSE_ROOT", str(made.lake))
        for day in (DAY_1, DAY_2):
            for system in SYSTEMS:
                clock = day.isoformat().replace("+", "%2B")
                patch.setenv(f"AIRFLOW_CONN_{system.upper()}", f"duckdb://{sources.path(system)}?clock={clock}")
            if day == DAY_1:
                create_day_1(world, sources)
                made.change(PLANT)
                made.run("init")
            else:
                apply_day_2(world, sources)
                made.change(PLANT, *TROUBLE)
            made.run("load")
        with without_data_tests():
            made.run("build", "all")
        for command in COMMANDS:
            made.run(*command)
        made.change(*BREAK)
        made.run("load", "erp.customers", "--full")
        with serving() as served:
            model = {"": "openai:m", "_KEY": "k", "_URL": f"{served.url}/v1", "_KEEP": "7"}
            for name, value in model.items():
                patch.setenv(f"LAKEHOUSE_MODEL{name}", value)
            for command in LAST:
                made.run(*command)
            made.printed["prompts"] = served.prompts
            for name in model:
                patch.delenv(f"LAKEHOUSE_MODEL{name}")
        made.show()
        if LONG:
            assert made.dbt("run", "--full-refresh") == 0
        cast = "select cast(email as integer) as number from {{ ref('stg_customers') }}"
        assert made.dbt("show", "--inline", cast) != 0
        yield made


class _logged(logging.Handler):  # noqa: N801 - used as a function
    """Adds every record of a cage's commands, as text, to what was printed."""

    def __init__(self, cage: Cage) -> None:
        super().__init__(logging.DEBUG)
        self.cage = cage

    def emit(self, record: logging.LogRecord) -> None:
        self.cage.printed[f"{len(self.cage.printed)} log"] = logging.Formatter().format(record)

    def __enter__(self) -> None:
        logging.getLogger("lakehouse").addHandler(self)
        logging.getLogger("lakehouse").setLevel(logging.DEBUG)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("lakehouse").removeHandler(self)


def content(file: Path) -> bytes:
    """Return a file's bytes; for Parquet those of its rows, decompressed, and of its footer."""
    if file.suffix != ".parquet":
        return file.read_bytes()
    with pq.ParquetFile(file) as parquet:
        return f"{parquet.metadata.metadata} {parquet.read().to_pylist()}".encode()


def leaving(cage: Cage) -> list[Path]:
    """Return the files that leave Bronze, Silver and quarantine, or that describe them."""
    lake = [path for path in cage.lake.rglob("*") if path.is_file()]
    kept = {"bronze", "silver", "quarantine"}
    told = [p for p in lake if p.relative_to(cage.lake).parts[0] not in kept or "_delta_log" in p.parts]
    others = [
        *cage.folder.glob("*"),
        *(p for name in ("target", "logs", "report") for p in (cage.folder / name).rglob("*")),
    ]
    return [*told, *(path for path in others if path.is_file() and path.suffix != ".duckdb")]


def test_the_canaries_are_in_the_lake_and_met_every_fault(cage: Cage) -> None:
    data = b"".join(content(path) for path in cage.lake.glob("bronze/erp/customers/*.parquet"))
    bad = b"".join(content(path) for path in cage.lake.glob("quarantine/erp/customers/*.parquet"))
    log = (cage.folder / "logs" / "dbt.log").read_text()

    assert {found[:5] for found in CANARY.findall(data)} >= {b"kanar", b"Zephy", b"55997", b"77700"}
    assert b"kanarie is no address" in bad
    assert b"duplicate_key" in bad
    assert cage.codes["load erp.customers --full"] == 16
    assert {cage.codes[" ".join(command)] for command in LAST} == {0}
    assert {code for path, code in cage.codes.items() if path.startswith("/")} == {200}
    assert cage.printed["prompts"].count("<<<untrusted") == 2  # the model was asked by explain and by ask
    assert [*cage.lake.glob("ops/advisor_texts/*.parquet")] != []  # and what was sent is kept
    assert "Could not convert string '***' to INT32" in log


def test_no_canary_leaves_the_lake(cage: Cage) -> None:
    files = leaving(cage)
    kinds = {path.suffix for path in files} | {path.name for path in files}

    assert kinds >= {".json", ".parquet", ".html", "dbt.log", "manifest.json", "quarantined.json", "keys.csv"}
    assert len(files) > 80
    assert len(cage.printed) > 20
    said = [name for name, text in cage.printed.items() if CANARY.search(text.encode())]
    written = [str(path.relative_to(cage.folder)) for path in files if CANARY.search(content(path))]
    assert said + written == []
