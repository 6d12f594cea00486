"""Every variable of the product, once: its name, its default, what it does, and whether its value is secret.

`Settings`, the modules that read a variable, `lakehouse settings` and docs/reference/settings.md are held to this list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ingestion.secrets.names import CONNECTION_PREFIX

ENGINES = ("embedded", "spark")


@dataclass(frozen=True, slots=True)
class Setting:
    """
    One variable. `default` is the value without it; where that is no fixed text, `without` says in words what happens.
    """

    name: str
    effect: str
    default: str = ""
    without: str = ""
    is_secret: bool = False


def _secret(name: str, effect: str, without: str = "") -> Setting:
    return Setting(name, effect, without=without, is_secret=True)


GROUPS: Mapping[str, tuple[Setting, ...]] = {
    "Cloud and flags": (
        Setting("LAKEHOUSE_CLOUD", "local, azure, aws or gcp: which lake and secret store are expected"),
        Setting("ENABLE_REAL_DATABASE_CONNECTIONS", "false: no database server is opened"),
        Setting("ENABLE_AZURE_INTEGRATION", "false: Azure is not called"),
        Setting("ENABLE_LLM_OBSERVABILITY", "false: advice comes from rules alone; no model is asked"),
    ),
    "Lake and engine": (
        Setting(
            "LAKEHOUSE_PROJECT",
            "the folder with data_contracts/ and dbt_project/",
            without="the nearest folder above with data_contracts/",
        ),
        Setting("LAKEHOUSE_ROOT", "the lake: a folder, or s3://, abfss://, gs://", without="lake/ in the project"),
        Setting("LAKEHOUSE_ENGINE", "embedded or spark: reads sources and writes the lake", "embedded"),
        Setting("LAKEHOUSE_MEMORY", "DuckDB's memory limit in a build or a query", "1GB"),
        Setting("LAKEHOUSE_LOAD_MEMORY", "the same in a load, repair or gap check", "256MB"),
        Setting("LAKEHOUSE_THREADS", "how many models dbt builds at once", without="2; 4 on a cluster"),
        Setting("LAKEHOUSE_DBT_SECONDS", "how long one dbt process may take", "14400"),
        Setting("LAKEHOUSE_LOG_FORMAT", "text or json: how commands and the server write their log", "text"),
        Setting("LAKEHOUSE_LOG_LEVEL", "debug, info, warning or error: what they write of their own", "warning"),
        Setting("LAKEHOUSE_DEBUG", "any text: show unexpected errors in full", without="off"),
    ),
    "Secrets": (
        _secret(f"{CONNECTION_PREFIX}<SYSTEM>", "the connection of a source database"),
        _secret("LAKEHOUSE_MASK_SALT", "the salt of the hashes of personal values in Gold"),
        _secret("LAKEHOUSE_WEB_TOKEN", "what a browser must know to see lakehouse serve"),
        Setting("LAKEHOUSE_SECRETS", "environment, azure, aws or gcp: where else secrets are looked up", "environment"),
        Setting("LAKEHOUSE_SECRETS_VAULT", "azure: the vault's URL; gcp: the project's id"),
        Setting("LAKEHOUSE_SECRETS_DIR", "a folder with one file per secret"),
        Setting("LAKEHOUSE_SECRETS_PREFIX", "stands before the names of secrets in the store"),
        Setting("LAKEHOUSE_SECRETS_SECONDS", "how long a secret is kept before it is read again", "300"),
    ),
    "Spark": (
        _secret("LAKEHOUSE_SPARK_CONF", "a JSON object of Spark settings that override all others"),
        Setting("LAKEHOUSE_SPARK_MEMORY", "the driver's heap, if this process starts Spark", "1g"),
        Setting("LAKEHOUSE_CACHE", "where Delta's jars are kept", "~/.cache/lakehouse"),
        Setting("LAKEHOUSE_SPARK_JARS", "a folder of further jars, if this process starts Spark: those of Kafka"),
        Setting("LAKEHOUSE_DBT_TARGET", "with engine spark, where dbt's Spark runs", "spark"),
        Setting("LAKEHOUSE_SPARK_HOST", "target thrift: the server"),
        Setting("LAKEHOUSE_SPARK_PORT", "target thrift: its port", "10000"),
        Setting("LAKEHOUSE_SPARK_USER", "target thrift: its user", "lakehouse"),
        Setting("LAKEHOUSE_SPARK_AUTH", "target thrift: NONE, LDAP or KERBEROS", "NONE"),
        _secret("LAKEHOUSE_SPARK_PASSWORD", "target thrift: the password for LDAP"),
        Setting("DATABRICKS_HOST", "target databricks: the workspace"),
        Setting("DATABRICKS_HTTP_PATH", "target databricks: the SQL warehouse"),
        _secret("DATABRICKS_TOKEN", "target databricks: the login"),
        Setting("DATABRICKS_CATALOG", "target databricks: the catalog of the views", "hive_metastore"),
    ),
    "Airflow": (
        Setting("LAKEHOUSE_RUNNER", "local, spark-submit or databricks: where loads and builds run", "local"),
        Setting("LAKEHOUSE_RUNNER_OPTIONS", "a JSON file with arguments for the provider's operator"),
        Setting("LAKEHOUSE_DAILY_SCHEDULE", "when medallion_daily starts: a cron expression in UTC, or off", "@daily"),
        Setting("LAKEHOUSE_MAINTENANCE_SCHEDULE", "when lake_maintenance starts, in the same form", "30 12 * * *"),
        Setting("LAKEHOUSE_STREAMS_SCHEDULE", "when streams_catch_up starts, in the same form", "0,15,30,45 * * * *"),
        Setting("LAKEHOUSE_CALLS_SCHEDULE", "when cdc_gap_check starts, in the same form", "@hourly"),
        Setting("LAKEHOUSE_TASK_HOURS", "how long one attempt of a task may take", "6"),
        Setting("LAKEHOUSE_WAIT_MINUTES", "how long builds wait for a source that does not answer", "3"),
        Setting(
            "LAKEHOUSE_TABLES_PER_TASK",
            "how many tables or models a task works on",
            without="1, and 25 if there are more than 50 tables",
        ),
        Setting("LAKEHOUSE_DOCS", "where dbt's documentation is written", without="dbt_project/target"),
        Setting("AIRFLOW_PORT", "the port of the UI of make airflow", "8080"),
    ),
    "Alerts": (
        _secret("LAKEHOUSE_ALERT_WEBHOOK", "an address that gets each message as JSON"),
        _secret("LAKEHOUSE_ALERT_URLS", "addresses in Apprise's form, separated by blanks"),
        Setting("LAKEHOUSE_QUIET_HOURS", "22:00-07:00 Europe/Berlin: only CRITICAL is told then"),
        Setting("LAKEHOUSE_WEB_URL", "the address of the page, which messages end with"),
    ),
    "Advisor": (
        Setting("LAKEHOUSE_MODEL", "openai:, azure: or anthropic:, then the model; without it rules answer alone"),
        Setting("LAKEHOUSE_MODEL_URL", "azure: the resource; a server with the same interface as the provider's"),
        _secret("LAKEHOUSE_MODEL_KEY", "the key of the model's provider", "azure: the machine's login"),
        Setting("LAKEHOUSE_MODEL_SECONDS", "how long a question may wait for the model", "30"),
        Setting(
            "LAKEHOUSE_MODEL_BUDGET",
            "most tokens per call, day and month; day_cost= and month_cost= limit money",
            "call=12000 day=200000 month=2000000",
        ),
        Setting("LAKEHOUSE_MODEL_KEEP", "for how many days masked prompts and answers are kept, 1 to 90", "0"),
    ),
    "Conversations": (
        Setting("LOG_DIR", "lakehouse cdc run: the folder of its five log files", without="no files"),
        Setting("LOG_LEVEL", "debug, info, warning or error: what they hold", "info"),
        Setting("LOG_MAX_BYTES", "how large one of them becomes", "10485760"),
        Setting("LOG_BACKUP_COUNT", "how many older ones are kept of each", "5"),
        Setting("ORACLE_HOST", "with ORACLE_USER, ORACLE_PASSWORD, ORACLE_PORT, ORACLE_SERVICE_NAME: the database"),
        Setting("SQS_QUEUE_URL", "the queue of conversations, if its connection is not set"),
        Setting("SQS_RESULTS_QUEUE_URL", "the queue of results, likewise"),
    ),
    "Storage logins": (
        Setting("AWS_REGION", "S3 and Secrets Manager: the region"),
        _secret("AWS_ACCESS_KEY_ID", "S3: a key, with AWS_SECRET_ACCESS_KEY", "the machine's login"),
        _secret("AWS_SECRET_ACCESS_KEY", "S3: the key's secret"),
        _secret("AWS_SESSION_TOKEN", "S3: the token of a session"),
        Setting("AWS_ENDPOINT_URL", "a server that is not Amazon's"),
        _secret("AZURE_STORAGE_ACCOUNT_KEY", "ADLS: the account's key", "the machine's login"),
        _secret("AZURE_STORAGE_SAS_TOKEN", "ADLS: a token"),
        Setting("AZURE_CLIENT_ID", "Azure: a service principal"),
        _secret("AZURE_CLIENT_SECRET", "Azure: its secret"),
        Setting("AZURE_TENANT_ID", "Azure: its directory"),
        Setting("AZURE_USE_AZURE_CLI", "ADLS: true uses the login of az"),
        Setting("GOOGLE_APPLICATION_CREDENTIALS", "Google: a key file", without="the machine's login"),
        _secret("GCS_HMAC_KEY_ID", "GCS: a key for DuckDB, with GCS_HMAC_SECRET"),
        _secret("GCS_HMAC_SECRET", "GCS: the key's secret"),
    ),
}
OF_PROGRAM = (
    "LAKEHOUSE_AS_OF",
    "LAKEHOUSE_DBT_CODE",
    "LAKEHOUSE_MASK_PADS",
    "LAKEHOUSE_ON_SPARK",
    "LAKEHOUSE_SPILL",
    "LAKEHOUSE_VIEWS",
)
"""Variables that a build sets for dbt; nobody else does."""
ALIASES = {"CLOUD_PROVIDER": "LAKEHOUSE_CLOUD"}
_BY_NAME = {setting.name: setting for group in GROUPS.values() for setting in group}


def value_of(name: str, environ: Mapping[str, str]) -> str:
    """Return a variable's value, or its default if it is not set or empty. Raises KeyError for an unknown variable."""
    return environ.get(name) or _BY_NAME[name].default


def known_names() -> frozenset[str]:
    """Return the names of all variables, those of connections as `AIRFLOW_CONN_<SYSTEM>`."""
    return frozenset(_BY_NAME)


def unknown_names(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the names that look like a variable of the product and are none."""
    known = {*_BY_NAME, *OF_PROGRAM}
    for name in sorted(environ):
        if name.startswith("LAKEHOUSE_") and name not in known:
            yield name
