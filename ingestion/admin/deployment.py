"""What must hold where the product is deployed (`doctor --deployment`). Writes a small table and deletes it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from ingestion.admin.airflow_pools import DoctorFinding
from ingestion.errors import LakehouseError
from ingestion.lake import duck
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import Lake, open_lake
from ingestion.lake.spark.session import check_installed
from ingestion.lake.storage.errors import told_apart
from ingestion.lake.storage.filesystem import open_files
from ingestion.settings import Settings, value_of

WRITERS, COMMITS = 2, 4
RIGHTS = {  # what a role of the lake needs, in the words of its cloud
    "s3": "s3:GetObject, s3:PutObject and s3:DeleteObject below ops/, and s3:ListBucket",
    "abfss": "the role Storage Blob Data Contributor on the container",
    "gs": "roles/storage.objectUser below ops/, and roles/storage.legacyBucketReader on the bucket",
}
_DAILY, _MAINTENANCE = "LAKEHOUSE_DAILY_SCHEDULE", "LAKEHOUSE_MAINTENANCE_SCHEDULE"
_ALIASES = {"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *", "@weekly": "0 0 * * 0"}


def examine_deployment(settings: Settings, environ: Mapping[str, str]) -> list[DoctorFinding]:
    """Check the rights on the storage, that it refuses a commit which another one overtook, engine and schedules."""
    try:
        found = list(_storage(open_lake(settings.lake_root), settings.engine, environ))
    except LakehouseError as exc:
        found = [DoctorFinding("storage", "missing", str(exc), "lakehouse init")]
    return [*found, schedules(environ)]


def _storage(lake: Lake, engine: str, environ: Mapping[str, str]) -> Iterator[DoctorFinding]:
    uri = f"{lake.root}/ops/_doctor-{uuid.uuid4().hex[:12]}"
    right = RIGHTS.get(lake.root.partition("://")[0], "the right to write in the folder")
    try:
        committed = _race(DeltaRs(lake.storage_options), uri)
    except Exception as exc:  # libraries have a class of error per cloud
        yield DoctorFinding("storage: write", "missing", str(told_apart(lake.root, exc) or type(exc).__name__), right)
    else:
        yield DoctorFinding("storage: write", "ok", "a table was written and read")
        yield _verdict(committed)
        yield _engine(engine, uri, environ)
    yield _deleted(uri, right)


def _race(engine: DeltaRs, uri: str) -> int:
    """Append to a new table from several threads at once; return how many of the commits are in its log."""
    schema = pa.schema([("n", pa.int64())])
    engine.create(uri, schema)
    before = engine.version(uri)

    def write(writer: int) -> None:
        for number in range(COMMITS):
            engine.append(uri, pa.table({"n": [COMMITS * writer + number]}, schema=schema))

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(write, range(WRITERS)))
    return engine.version(uri) - before


def _verdict(committed: int) -> DoctorFinding:
    if committed == WRITERS * COMMITS:
        return DoctorFinding("storage: two writers", "ok", f"all of {committed} commits made at once are there")
    return DoctorFinding(
        "storage: two writers",
        "damaged",
        f"{WRITERS * COMMITS} commits were made at once, {committed} are there: one overwrites another",
        "use a store with conditional writes (docs/storage.md), or one writer only",
    )


def _engine(engine: str, uri: str, environ: Mapping[str, str]) -> DoctorFinding:
    """Say whether what builds the lake can work here. DuckDB reads the storage by a login of its own."""
    subject = f"engine: {engine}"
    try:
        if engine == "spark":
            check_installed(environ)
            return DoctorFinding(subject, "ok", "Java and pyspark are there")
        with duck.session(uri) as connection:
            connection.execute(f"select count(*) from {duck.scan(uri)}").fetchone()
    except (LakehouseError, duck.Error) as exc:
        told = str(exc if isinstance(exc, LakehouseError) else told_apart(uri, exc) or type(exc).__name__)
        return DoctorFinding(subject, "missing", told, "docs/storage.md has the variables of each store")
    return DoctorFinding(subject, "ok", "DuckDB reads what was written")


def _deleted(uri: str, right: str) -> DoctorFinding:
    try:
        filesystem, path = open_files(uri)
        filesystem.delete_dir(path)
    except FileNotFoundError:
        return DoctorFinding("storage: delete", "ok", "nothing was left to delete")
    except Exception as exc:  # as above
        finding = f"{uri} was left ({type(exc).__name__})"
        return DoctorFinding("storage: delete", "missing", finding, f"delete it, and give {right}")
    return DoctorFinding("storage: delete", "ok", "the table was deleted")


def schedules(environ: Mapping[str, str]) -> DoctorFinding:
    """Say whether the daily run and maintenance can start in the same hour: each would skip what the other writes."""
    daily, maintenance = (value_of(name, environ).strip() for name in (_DAILY, _MAINTENANCE))
    hours = [_hours(each) for each in (daily, maintenance)]
    if set.isdisjoint(*hours):
        return DoctorFinding("schedules", "ok", f"daily {daily}, maintenance {maintenance} (UTC)")
    return DoctorFinding(
        "schedules",
        "warning",
        f"daily {daily} and maintenance {maintenance} can start in the same hour",
        f"set {_MAINTENANCE} to an hour after the daily run's end",
    )


def _hours(schedule: str) -> set[int]:
    """Return the hours of the day in which a cron expression starts something; none for `off` or one that is none."""
    fields = _ALIASES.get(schedule, schedule).split()
    found: set[int] = set()
    for part in fields[1].split(",") if len(fields) == 5 else ():
        match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?", part)
        if match is None:
            continue
        first = int(match[1] or 0)
        last = int(match[2]) if match[2] else first if match[1] and not match[3] else 23
        found |= {*range(first, last + 1, int(match[3] or 1) or 1)}
    return found
