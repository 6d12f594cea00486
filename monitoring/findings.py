"""
What is wrong now, from the ledger's facts: one finding per fault of a table or a dbt model, with its next step.

Pure: the same evidence and moment give the same findings. A table whose facts are missing is UNKNOWN, never OK.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Literal

from ingestion.ledger.vocabulary import DAG
from monitoring.advisor.gap_advice import first_line, rows
from monitoring.advisor.gap_rules import advise
from monitoring.facts import Facts
from monitoring.run_views import BuiltModel, DriftFound, Failing, Step


class Kind(StrEnum):
    """All kinds of faults. Each has its runbook."""

    SOURCE_UNAVAILABLE = "source_unavailable"
    LOAD_FAILED = "load_failed"
    DELETE_BRAKE = "delete_brake"
    NEVER_LOADED = "never_loaded"
    STALE = "stale"
    UNCHECKED = "unchecked"
    GAP = "gap"
    QUARANTINE = "quarantine"
    DRIFT = "drift"
    MODEL_FAILED = "model_failed"
    DAG_FAILED = "dag_failed"
    CONTRACT_INVALID = "contract_invalid"
    VOLUME = "volume"
    MAINTENANCE_OVERDUE = "maintenance_overdue"
    MONITOR_SILENT = "monitor_silent"
    DISK_FILLING = "disk_filling"
    CHANNEL_DEAD = "channel_dead"
    STREAM_FAILED = "stream_failed"
    STREAM_STUCK = "stream_stuck"
    DEAD_LETTERS = "dead_letters"


def runbook_of(kind: str) -> str:
    """Return where the documentation says what to do about faults of a kind."""
    return f"docs/runbooks/{kind}.md"


class Level(IntEnum):
    """How bad a finding is, or the worst of some. UNKNOWN: not measured, which is not OK."""

    OK = 0
    UNKNOWN = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def label(self) -> Literal["OK", "UNKNOWN", "WARNING", "CRITICAL"]:
        return _LABELS[self]


_LABELS: Mapping[int, Literal["OK", "UNKNOWN", "WARNING", "CRITICAL"]] = {
    Level.OK: "OK",
    Level.UNKNOWN: "UNKNOWN",
    Level.WARNING: "WARNING",
    Level.CRITICAL: "CRITICAL",
}
UNAVAILABLE = "SourceUnavailableError"
"""The class of the error of a load whose database did not answer."""
SEVERITIES = {"OK": Level.OK, "OK*": Level.OK, "WARNING": Level.WARNING, "CRITICAL": Level.CRITICAL}
"""Severities of the ledger; any other is UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One fault. `kind` and `subject` (a contract's id, or a model) identify it; `since` is when it began, UTC.

    `text` is one sentence without a row value. `command` is the next step, None if there is none to copy. `behind` has
    the finding that explains this one, so that a person need only see the first. `downstream` names models and
    exposures that are built from the subject. `value` exceeds `threshold`, where the fault is a number.
    """

    kind: Kind
    subject: str
    level: Level
    since: datetime
    text: str
    command: str | None = None
    owner: str | None = None
    behind: tuple[Kind, str] | None = None
    downstream: tuple[str, ...] = ()
    value: float | None = None
    threshold: float | None = None
    log_url: str | None = None
    """Where Airflow shows the log of the task that failed."""

    @property
    def key(self) -> tuple[Kind, str]:
        return self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the findings are drawn from; `owners` by contract, `downstream` by contract or model."""

    facts: Sequence[Facts]
    failing: Sequence[Failing]
    loads: Mapping[str, Step]
    """The newest good load of each table."""
    models: Sequence[BuiltModel]
    drifts: Sequence[DriftFound]
    owners: Mapping[str, str] = field(default_factory=dict)
    downstream: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def find(evidence: Evidence, now: datetime) -> list[Finding]:
    """Return all findings, the worst first, then the oldest; those that another one explains come last."""
    failed = {(f.step, f.subject): f for f in evidence.failing}
    found = [
        finding
        for facts in evidence.facts
        for finding in _of_table(facts, failed, evidence, now)
        if finding.level > Level.OK
    ]
    found = [*_of_sources(found, failed, evidence), *found]
    found += _of_models(evidence, found)
    found += _of_dags(evidence.failing)
    return sorted(found, key=urgency)


def _of_sources(found: list[Finding], failed: Mapping[tuple[str, str], Failing], evidence: Evidence) -> list[Finding]:
    """Return a finding per source that does not answer, and put the failed loads of its tables behind it, in place."""
    systems = {facts.contract.id: facts.contract.system for facts in evidence.facts}
    down: dict[str, list[Finding]] = {}
    for at, finding in enumerate(found):
        fault = failed.get(("load", finding.subject))
        if finding.kind == Kind.LOAD_FAILED and fault is not None and fault.error == UNAVAILABLE:
            system = systems[finding.subject]
            down.setdefault(system, []).append(finding)
            found[at] = replace(finding, behind=(Kind.SOURCE_UNAVAILABLE, system))
    return [
        Finding(
            Kind.SOURCE_UNAVAILABLE,
            system,
            max(each.level for each in own),
            min(each.since for each in own),
            own[0].text,
            own[0].command,
            ", ".join(sorted({each.owner for each in own if each.owner})) or None,
            downstream=tuple(sorted({name for each in own for name in each.downstream})),
            log_url=own[0].log_url,
        )
        for system, own in down.items()
    ]


def _of_dags(failing: Sequence[Failing]) -> Iterator[Finding]:
    """Yield DAGs of others whose newest run failed, as they told."""
    for fault in failing:
        if fault.step == DAG:
            text = fault.message or "It failed."
            yield Finding(Kind.DAG_FAILED, fault.subject, Level.WARNING, fault.since, text, log_url=fault.log_url)


def urgency(finding: Finding) -> tuple[bool, int, datetime, str]:
    """Return a sort key: what another finding explains comes last, else the worst first, then the oldest."""
    return finding.behind is not None, -finding.level, finding.since, finding.subject


def lag_hours(facts: Facts, load: Step | None, now: datetime) -> float | None:
    """
    Return how many hours the table's data may be behind its source now; None if it was never loaded or measured.

    It is the lag that the newest check measured by the source's clock, and the time that has passed since. Without one,
    or if a load has ended since, it is the time since the start of the newest good load.
    """
    gap = facts.gap
    measured = None if gap is None else gap.freshness_lag_hours
    if load is not None and (gap is None or measured is None or load.finished_at > gap.checked_at):
        return _hours(now - load.started_at)
    return None if gap is None or measured is None else measured + _hours(now - gap.checked_at)


def _of_table(
    facts: Facts, failed: Mapping[tuple[str, str], Failing], evidence: Evidence, now: datetime
) -> Iterator[Finding]:
    name, load = facts.contract.id, evidence.loads.get(facts.contract.id)
    about = _About(name, evidence.owners.get(name), evidence.downstream.get(name, ()))
    lag, promised = lag_hours(facts, load, now), facts.contract.reconcile.freshness
    late = lag - _hours(promised) if lag is not None and promised is not None else 0.0
    root: tuple[Kind, str] | None = None
    fault = failed.get(("load", name))
    if fault is not None:
        level = Level.CRITICAL if late > 0 or fault.last_good_at is None else Level.WARNING
        command = _advised(facts, "failed load", f"lakehouse load {name}")
        root = (Kind.DELETE_BRAKE if fault.error == "DeleteBrakeError" else Kind.LOAD_FAILED, name)
        yield about.finding(root[0], level, fault.since, _loads_fail(fault), command, log_url=fault.log_url)
    elif load is None:
        yield about.finding(Kind.NEVER_LOADED, Level.UNKNOWN, now, "No load has ended yet.", f"lakehouse load {name}")
        return
    if late > 0 and lag is not None and promised is not None:
        told = f"The data is {hours(lag)} behind its source; at most {hours(_hours(promised))} are promised."
        since = now - timedelta(hours=late)
        yield about.finding(Kind.STALE, Level.CRITICAL, since, told, f"lakehouse load {name}", behind=root)
        root = root or (Kind.STALE, name)
    yield from _of_check(facts, about, failed.get(("gaps", name)), root, now)
    yield from _of_rows(facts, about, evidence)


@dataclass(frozen=True, slots=True)
class _About:
    """What all findings of a table share."""

    subject: str
    owner: str | None
    downstream: tuple[str, ...]

    def finding(
        self,
        kind: Kind,
        level: Level,
        since: datetime,
        text: str,
        command: str | None,
        *,
        behind: tuple[Kind, str] | None = None,
        log_url: str | None = None,
    ) -> Finding:
        return Finding(
            kind, self.subject, level, since, text, command, self.owner, behind, self.downstream, log_url=log_url
        )


def _of_check(
    facts: Facts, about: _About, fault: Failing | None, root: tuple[Kind, str] | None, now: datetime
) -> Iterator[Finding]:
    """Yield what the newest gap check found, or that there is none."""
    gap, check = facts.gap, f"lakehouse gaps {about.subject}"
    if gap is None:
        yield about.finding(
            Kind.UNCHECKED, Level.UNKNOWN, now, "It was never compared with its source.", check, behind=root
        )
        return
    level = SEVERITIES.get(gap.severity, Level.UNKNOWN)
    if level is Level.UNKNOWN:
        since, told = (fault.since, first_line(fault.message)) if fault else (gap.checked_at, gap.why or "")
        text = f"It could not be compared with its source. {told}".strip()
        log_url = fault.log_url if fault else None
        yield about.finding(Kind.UNCHECKED, level, since, text, check, behind=root, log_url=log_url)
    elif level > Level.OK:
        since = min((difference.first_seen_at for difference in facts.differences), default=gap.checked_at)
        yield about.finding(Kind.GAP, level, since, _gap(facts), _advised(facts, "", check), behind=root)


def _of_rows(facts: Facts, about: _About, evidence: Evidence) -> Iterator[Finding]:
    """Yield rows in quarantine, and differences between the contract and the source's catalog."""
    name, gap = about.subject, facts.gap
    if gap is not None and gap.quarantined_count:
        text = f"{rows(gap.quarantined_count).capitalize()} of the source {_are(gap.quarantined_count)} in quarantine."
        yield about.finding(Kind.QUARANTINE, Level.WARNING, gap.checked_at, text, f"lakehouse quarantine show {name}")
    load = evidence.loads.get(name)
    drifts = [d for d in evidence.drifts if d.contract_id == name and (load is None or d.found_at >= load.started_at)]
    if drifts:
        columns = ", ".join(dict.fromkeys(drift.column for drift in drifts))
        text = f"The source's columns are not those of the contract: {columns}."
        since = min(drift.first_found_at for drift in drifts)
        yield about.finding(Kind.DRIFT, Level.WARNING, since, text, f"lakehouse plan {name}")


def _of_models(evidence: Evidence, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield models that failed or were left out, behind the fault of the table or model that they are built from."""
    bad = {model.model: model for model in evidence.models if model.status in ("failed", "skipped")}
    tables = {finding.subject: finding.key for finding in found if finding.level is Level.CRITICAL}
    for name, model in bad.items():
        sources = (model.reads or "").split(", ")
        causes = [(Kind.MODEL_FAILED, source) for source in sources if source in bad]
        causes += [tables[source] for source in sources if source in tables]
        told = first_line(model.message) or "A model that it is built from failed."
        yield Finding(
            Kind.MODEL_FAILED,
            name,
            Level.CRITICAL if model.status == "failed" else Level.WARNING,
            model.since,
            told,
            "lakehouse build",
            behind=causes[0] if causes else None,
            downstream=evidence.downstream.get(name, ()),
        )


def _advised(facts: Facts, cause: str, default: str) -> str:
    """Return the first command that the advisor gives for a cause (empty: for the one that explains most)."""
    advised = (advice.commands for advice in advise(facts) if advice.commands and advice.cause.startswith(cause))
    return next(advised, (default,))[0]


def _loads_fail(fault: Failing) -> str:
    times = "The last load failed" if fault.failures == 1 else f"The last {fault.failures} loads failed"
    return f"{times}: {first_line(fault.message) or fault.error or 'the cause is not recorded'}"


def _gap(facts: Facts) -> str:
    gap = facts.gap
    if gap is None:
        return ""
    counts = {"missing": gap.missing_keys, "no longer in the source": gap.extra_keys, "different": gap.differing_keys}
    parts = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    state = f" ({gap.state})" if gap.state else ""
    return f"Lake and source differ{state}: {parts or 'the comparison did not end'}."


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _hours(span: timedelta) -> float:
    return span.total_seconds() / 3600


def hours(count: float) -> str:
    """Return a number of hours for people: `45 min`, `7 h`, `3 days`."""
    if count < 2:
        return f"{count * 60:.0f} min"
    return f"{count:.0f} h" if count < 72 else f"{count / 24:.0f} days"
