"""Opens a Spark session with the lake's settings: Delta, UTC, exact types, and small limits on one machine.

Settings are passed to the JVM in our own `spark-defaults.conf`, because any user of the machine could read secrets on
its command line. dbt-spark's session uses the same file (SPARK_CONF_DIR).

LAKEHOUSE_SPARK_CONF    a JSON object of Spark settings that override all others, e.g. {"spark.master": "yarn"}
LAKEHOUSE_SPARK_MEMORY  the driver's heap; default 1g
LAKEHOUSE_CACHE         where Delta's jars are cached; default ~/.cache/lakehouse
LAKEHOUSE_SPARK_JARS    a folder of further jars, e.g. those that read Kafka
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ingestion import scratch
from ingestion.errors import ConfigurationError
from ingestion.lake.storage import provider
from ingestion.settings import environment, value_of
from ingestion.shipped import pip_install

DELTA = "io.delta:delta-spark_4.2_2.13:4.4.0"
CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
DEFAULTS = "spark-defaults.conf"
JAVA_OPTIONS = "spark.driver.extraJavaOptions"
PLATFORM = "DATABRICKS_RUNTIME_VERSION"  # where Delta is built in
STANDARD_ERROR = 2
JARS_NOTE = "spark.lakehouse.jarsNote"

# Settings that make both engines write identical tables. Required on any cluster.
ALWAYS = {
    "spark.sql.extensions": EXTENSION,
    "spark.sql.catalog.spark_catalog": CATALOG,
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # INT96 overflows in readers that use nanoseconds
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
    "spark.databricks.delta.properties.defaults.enableRowTracking": "false",
    "spark.databricks.delta.properties.defaults.logRetentionDuration": "interval 3650 days",
}
STATIC = ("spark.sql.extensions", "spark.sql.catalog.spark_catalog")  # fixed when the first session opens
LOCAL = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",  # else a vacuum lists folders in 10,000 tasks
}
LOGGING = """\
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %p %c{1}: %m%n%ex
"""


def spark_settings(
    home: str | Path,
    *,
    root: str = "",
    storage_options: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """
    Return every setting of a session, secrets of the storage included.

    `home` is a folder for the warehouse and Derby's files, `root` the lake's URI. `storage_options` are those of
    `ingestion.lake.storage.login`, by default the environment's. Raises ConfigurationError.
    """
    environ = os.environ if environ is None else environ
    overrides = _overrides(environ)
    options = provider.storage_options(root, environ) if storage_options is None else storage_options
    reached = provider.spark_settings(root, options)
    settings = {**ALWAYS, **reached.settings, "spark.master": "local[*]", **overrides}
    if is_local(settings["spark.master"]):
        settings = {**settings, **_local_settings(Path(home), reached.packages, environ), **overrides}
        given = overrides.get(JAVA_OPTIONS, "")
        settings[JAVA_OPTIONS] = f"-Dderby.system.home={Path(home) / 'derby'} {given}".strip()
    return {name: value for name, value in settings.items() if value}


def is_local(master: str) -> bool:
    """Return whether a master is this process alone."""
    return master.split("[", maxsplit=1)[0] == "local"


def write_defaults(
    folder: str | Path,
    *,
    root: str = "",
    storage_options: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Path:
    """
    Write `spark-defaults.conf` and the logging beside it, and return the folder: the value of SPARK_CONF_DIR.

    Only this user can read it. It also holds the warehouse, Spark's spill files and Derby's files. Raises
    ConfigurationError, also if Java or pyspark is missing.
    """
    environ = os.environ if environ is None else environ
    check_installed(environ)
    home = Path(folder).absolute()
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    settings = spark_settings(home, root=root, storage_options=storage_options, environ=environ)
    (home / DEFAULTS).write_text("".join(f"{name} {_escaped(value)}\n" for name, value in sorted(settings.items())))
    (home / "log4j2.properties").write_text(LOGGING)
    return home


def open_session(
    *,
    name: str = "lakehouse",
    root: str = "",
    storage_options: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Any:
    """
    Return the process's session, opening it if there is none: under spark-submit or on a platform, theirs.

    Raises ConfigurationError: no Java, no pyspark, no jars, or a session without Delta.
    """
    environ = os.environ if environ is None else environ
    check_installed(environ)
    from pyspark.sql import SparkSession  # noqa: PLC0415

    active = SparkSession.getActiveSession()
    if active is None:
        active = _joined(name, environ) if _has_java_process() else _started(name, root, storage_options, environ)
    if EXTENSION not in str(active.conf.get("spark.sql.extensions", "")) and PLATFORM not in environ:
        raise ConfigurationError(
            "spark: the session has no Delta extension. Nothing was read or written. "
            f"Set spark.sql.extensions={EXTENSION} and spark.sql.catalog.spark_catalog={CATALOG}, see docs/spark.md"
        )
    return prepare(active)


def new_session(
    *, root: str, storage_options: Mapping[str, str] | None = None, settings: Mapping[str, str] | None = None
) -> Any:
    """
    Return a session of its own in the process's Spark: its views and these `settings` affect no other session.

    Raises as `open_session` does.
    """
    session = prepare(open_session(root=root, storage_options=storage_options).newSession())
    for name, value in (settings or {}).items():
        session.conf.set(name, value)
    return session


def prepare(session: Any) -> Any:
    """Apply the settings that make both engines write identical tables to a session; return it."""
    for setting, value in ALWAYS.items():
        if setting not in STATIC:
            session.conf.set(setting, value)
    return session


def check_installed(environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError if Java or pyspark is missing."""
    home = environ.get("JAVA_HOME")
    java = Path(home, "bin", "java") if home else None
    if not (java is not None and java.exists()) and shutil.which("java", path=environ.get("PATH")) is None:
        raise ConfigurationError(
            "spark: needs Java 17 or newer; there is no `java`. Nothing was read or written. Install a JRE "
            "(apt-get install openjdk-17-jre-headless) or set JAVA_HOME, or use the engine that needs none: "
            "LAKEHOUSE_ENGINE=embedded"
        )
    try:
        import pyspark  # noqa: F401, PLC0415
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"spark: the package pyspark is not installed. Nothing was read or written. Run: {pip_install('spark')}"
        ) from None


def _overrides(environ: Mapping[str, str]) -> dict[str, str]:
    text = value_of("LAKEHOUSE_SPARK_CONF", environ)
    if not text:
        return {}
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str | int | float | bool) for value in given.values()):
        raise ConfigurationError(
            "LAKEHOUSE_SPARK_CONF: must be a JSON object of Spark settings (its value is not "
            'shown here). Nothing was done. Write e.g. {"spark.master": "yarn"}'
        )
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}


def _local_settings(home: Path, packages: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    return {
        **LOCAL,
        **_jar_settings((DELTA, *packages), environ),
        "spark.driver.memory": value_of("LAKEHOUSE_SPARK_MEMORY", environ),
        "spark.sql.warehouse.dir": str(home / "warehouse"),
        "spark.local.dir": str(home / "local"),
    }


def _jar_settings(packages: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the jars if an earlier start recorded them (faster, no network), else the packages to resolve."""
    given = value_of("LAKEHOUSE_SPARK_JARS", environ)
    further = sorted(str(jar) for jar in Path(given).expanduser().absolute().glob("*.jar")) if given else []
    if given and not further:
        raise ConfigurationError(
            "LAKEHOUSE_SPARK_JARS: names no folder with jars. Nothing was done. Put the jars there (docs/streaming.md "
            "says which), or correct the setting."
        )
    cache = Path(value_of("LAKEHOUSE_CACHE", environ)).expanduser().absolute() / "ivy"
    note = cache / f"{hashlib.sha256(','.join(packages).encode()).hexdigest()[:16]}.json"
    try:
        jars = [str(cache / "jars" / name) for name in json.loads(note.read_text())]
    except (OSError, ValueError):
        jars = []
    if jars and all(Path(jar).is_file() for jar in jars):
        return {"spark.jars": ",".join(jars + further)}
    to_resolve = {"spark.jars.packages": ",".join(packages), "spark.jars.ivy": str(cache), JARS_NOTE: str(note)}
    return to_resolve | ({"spark.jars": ",".join(further)} if further else {})


def _note_jars(session: Any) -> None:
    """Record which jars Spark resolved, for the next start."""
    note = session.conf.get(JARS_NOTE, "")
    found = session.sparkContext.getConf().get("spark.jars", "").split(",")
    folder = Path(note).parent / "jars"
    jars = [name for name in (jar.rsplit("/", 1)[-1] for jar in found if jar) if (folder / name).is_file()]
    if note and jars:
        new = Path(f"{note}.{os.getpid()}")
        new.write_text(json.dumps(jars))
        new.replace(note)


def _escaped(value: str) -> str:
    """Escape a value for Java's property files."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _has_java_process() -> bool:
    """Return whether this process has a JVM already, started by spark-submit or an earlier session."""
    from pyspark import SparkContext  # noqa: PLC0415

    return "PYSPARK_GATEWAY_PORT" in os.environ or SparkContext._gateway is not None


def _joined(name: str, environ: Mapping[str, str]) -> Any:
    """Open a session in a running JVM, whose jars and memory are fixed already."""
    from pyspark.sql import SparkSession  # noqa: PLC0415

    builder = SparkSession.builder.appName(name)
    for setting, value in {**ALWAYS, **_overrides(environ)}.items():
        builder = builder.config(setting, value)
    return builder.getOrCreate()


def _started(name: str, root: str, storage_options: Mapping[str, str] | None, environ: Mapping[str, str]) -> Any:
    from pyspark import SparkContext  # noqa: PLC0415
    from pyspark.java_gateway import launch_gateway  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    private = ExitStack()
    home = private.enter_context(scratch.folder("spark"))
    atexit.register(private.close)
    write_defaults(home, root=root, storage_options=storage_options, environ=environ)
    try:
        with environment(SPARK_CONF_DIR=str(home), PYSPARK_PYTHON=environ.get("PYSPARK_PYTHON") or sys.executable):
            # Delta prints to standard output, which is reserved for results
            SparkContext._ensure_initialized(gateway=launch_gateway(popen_kwargs={"stdout": STANDARD_ERROR}))
            session = SparkSession.builder.appName(name).getOrCreate()
    except Exception as exc:  # the JVM writes its messages to standard error
        raise ConfigurationError(
            f"spark: no session starts ({type(exc).__name__}). Nothing was read or written. "
            f"See Java's message above. Are the jars of {DELTA} there? A first start fetches them from Maven Central; "
            "a mirror is named by spark.jars.repositories in LAKEHOUSE_SPARK_CONF."
        ) from exc
    _note_jars(session)
    return session
