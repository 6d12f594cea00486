"""Streams declared in Python instead of YAML: the same contract, run by the functions of `lakehouse stream`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

from ingestion.contracts.odcs import STREAMS, SUFFIX, find_stream
from ingestion.contracts.reading.streams import examine_stream
from ingestion.contracts.streams import Stream
from ingestion.errors import ConfigurationError, InvalidContractError
from ingestion.runs.context import Context, open_context
from ingestion.settings import Settings
from ingestion.stream_jobs import run

Keys = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """`source` names the connection `AIRFLOW_CONN_<SOURCE>` with brokers and security; the rest is as in a contract."""

    source: str
    topics: Sequence[str | Keys]
    start: str | Mapping[int, int] | None = None
    budget: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class OracleConfig:
    """`system` names the connection `AIRFLOW_CONN_<SYSTEM>`; with `kind` duckdb a file takes the place of Oracle."""

    system: str
    kind: Literal["oracle", "duckdb"] = "oracle"


class KafkaOracleStreamingPipeline:
    """One stream. Methods that declare return the pipeline; `start` and `create_oracle_table` save the contract."""

    def __init__(
        self,
        name: str,
        kafka: KafkaConfig,
        oracle: OracleConfig,
        *,
        purpose: str = "",
        settings: Settings | None = None,
    ) -> None:
        self.name, self._oracle, self._purpose, self._settings = name, oracle, purpose or name, settings
        self._table, self._columns = name, dict[str, dict[str, Any]]()
        self._block: dict[str, Any] = {"source": kafka.source, "topics": list(kafka.topics)}
        self._declare(start=kafka.start, budget=kafka.budget)

    def _declare(self, **keys: Any) -> Self:
        self._block |= {key: deepcopy(value) for key, value in keys.items() if value is not None}
        return self

    def read_kafka_stream(self, schema: Mapping[str, Keys], **order: Any) -> Self:
        """
        Declare columns by name and ODCS keys, the path in the message by default the name.

        `order` has the stream's keys format, messages, sequence and time.
        """
        self._columns = {name: {"name": name, "physicalName": name} | {**keys} for name, keys in schema.items()}
        return self._declare(**order)

    def validate_stream_schema(self, new_field: Literal["ignore", "fail"] = "fail") -> Self:
        """Say what a field does that no column reads. Types are always checked; no schema registry is asked."""
        return self._declare(onDrift={"newField": new_field})

    def add_data_quality_checks(self, rules: Mapping[str, Keys], defaults: Mapping[str, str] | None = None) -> Self:
        """Add ODCS keys (required, enum, logicalTypeOptions) to columns; rows that break them become dead letters."""
        if unknown := rules.keys() - self._columns.keys():
            raise ConfigurationError(
                f"{self.name}: {', '.join(sorted(unknown))}: no such column. Nothing was declared. Name it in "
                "read_kafka_stream first."
            )
        self._columns = {name: keys | {**rules.get(name, {})} for name, keys in self._columns.items()}
        return self._declare(defaults=defaults)

    def apply_transformation(self, function: str) -> Self:
        """Name a pure function `module:function` on Arrow tables, in a file beside the contract; no lambda."""
        return self._declare(transform=function)

    def filter_stream(self, function: str) -> Self:
        return self._declare(filter=function)

    def apply_windowing(self, table: str, duration: str, **window: Any) -> Self:
        """Add a table of windows of an ISO 8601 length; `window` has slide, by, measures, lateness, idle."""
        return self._declare(windows=[*self._block.get("windows", []), {"table": table, "size": duration, **window}])

    def deduplicate_stream(self, column: str, within_window: str) -> Self:
        """Drop repeated events of a period. Without a period: mode merge keeps one row per key by itself."""
        return self._declare(dedupe={"column": column, "period": within_window})

    def read_oracle_table(self, table: str, *, on: Mapping[str, str], columns: Mapping[str, str]) -> Self:
        """Fill columns from a reference table of the target, which is read for each batch."""
        return self._declare(
            lookups=[*self._block.get("lookups", []), {"table": table, "on": {**on}, "columns": {**columns}}]
        )

    def enable_fault_tolerance(self, max_dead_percent: float, tombstones: str | None = None) -> Self:
        """Set the brake. A checkpoint or log folder has no counterpart: positions are always in the target."""
        return self._declare(deadLetters={"maxPercent": max_dead_percent}, tombstones=tombstones)

    def write_to_oracle(self, table: str, mode: Literal["append", "merge", "overwrite"] = "merge") -> Self:
        """Name the target table. The trigger is KafkaConfig's `budget`; checkpoints and JDBC have no counterpart."""
        self._table = table
        return self._declare(target={"system": self._oracle.system, "mode": mode})

    def text(self) -> str:
        """Return the contract as YAML."""
        import yaml  # noqa: PLC0415 - as contracts.odcs does

        kinds = {self._block["source"]: "kafka", self._oracle.system: self._oracle.kind}
        document = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": f"{STREAMS}.{self.name}", "version": "1.0.0"}
        parts: dict[str, Any] = {
            "description": {"purpose": self._purpose},
            "servers": [{"server": server, "type": kind} for server, kind in kinds.items()],
            "schema": [{"name": self.name, "physicalName": self._table, "properties": [*self._columns.values()]}],
            "customProperties": [{"property": "lake", "value": {"stream": self._block}}],
        }
        return yaml.safe_dump(document | parts, sort_keys=False, allow_unicode=True)

    def stream(self, path: str = "") -> Stream:
        """Return the checked declaration. Raises InvalidContractError with all faults."""
        identity = f"{STREAMS}.{self.name}"
        found, faults = examine_stream(self.text(), f"{self.name}{SUFFIX}", path=path, expected_id=identity)
        if found is None:
            raise InvalidContractError([fault for fault in faults if fault.severity == "error"])
        return found

    def save(self) -> None:
        """Write the contract into the project. Raises ConfigurationError for a file that declares another stream."""
        folder = self._context.settings.contracts
        path = folder / STREAMS / f"{self.name}{SUFFIX}"
        stream = self.stream(str(path))
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.text(), encoding="utf-8")
        elif find_stream(folder, self.name) != stream:
            raise ConfigurationError(
                f"{STREAMS}/{path.name}: declares another stream than the pipeline. Nothing was written. Change one of "
                "the two, or delete the file."
            )

    @cached_property
    def _context(self) -> Context:
        return open_context(self._settings or Settings.from_environ(os.environ))

    def create_oracle_table(self) -> None:
        """Create what the target lacks. Idempotent."""
        self.save()
        run.init_stream(self._context, self.name)

    def start(self, *, until_caught_up: bool = False) -> dict[str, Any]:
        """Run in this process until all is read, or it is stopped; return the counts."""
        self.save()
        return run.run_stream(self._context, self.name, until_caught_up=until_caught_up)

    def get_stream_progress(self) -> dict[str, Any]:
        """Return state, lag and the numbers of the last hour; empty if it never ran."""
        return next(iter(run.statuses(self._context, [self.name])), {})

    def get_stream_status(self) -> str | None:
        return self.get_stream_progress().get("state")

    def monitor_streams(self, interval: float = 60.0) -> Iterator[list[dict[str, Any]]]:
        """Yield the progress of all streams every `interval` seconds, without end. Starts no thread."""
        while True:
            yield run.statuses(self._context, run.chosen_streams(self._context, ()))
            time.sleep(interval)

    def stop_stream(self) -> None:
        """Ask runs of this stream to end after their open batch, on whatever machine they are."""
        run.ask_to_stop(self._context, [self.name])

    def stop_all_streams(self) -> None:
        run.ask_to_stop(self._context, run.chosen_streams(self._context, ()))

    def wait_for_termination(self, seconds: float = 300.0) -> bool:
        """Return whether no run is under way by the ledger, after at most `seconds`."""
        return not run.wait_for(self._context, [self.name], seconds=seconds)
