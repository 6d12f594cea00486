"""Reads how a table is loaded from the `lake` block and the SLA of a contract, and checks that the keys agree."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import pyarrow as pa
from pydantic import BaseModel

from ingestion.contracts.model import BronzeMode, Column, Contract, Deletes, Mode, NullWatermark, Period, Reconcile
from ingestion.contracts.names import is_identifier
from ingestion.contracts.reading.document import DocumentFaults, Steps
from ingestion.contracts.reading.lake_block import LakeBlock
from ingestion.contracts.reading.shape import near, report_unknown_keys, validate

if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard

_LONGEST = 1_000_000  # of any unit; small enough for a timedelta
_UNITS = {
    **dict.fromkeys(["m", "min", "minute", "minutes"], timedelta(minutes=1)),
    **dict.fromkeys(["h", "hr", "hour", "hours"], timedelta(hours=1)),
    **dict.fromkeys(["d", "day", "days"], timedelta(days=1)),
}
_PERIODS = {
    **dict.fromkeys(["d", "day", "days"], Period(days=1)),
    **dict.fromkeys(["mo", "month", "months"], Period(months=1)),
    **dict.fromkeys(["y", "yr", "year", "years"], Period(months=12)),
}
Unit = TypeVar("Unit")
Block = TypeVar("Block", bound=BaseModel)


def read_lake_block(
    findings: DocumentFaults,
    contract: OpenDataContractStandard,
    model: type[Block],
    *,
    least: str = "timezone and mode",
) -> tuple[Block, Steps]:
    """Return the block, without keys of the wrong shape, and its path in the file. `least` says what it must have."""
    properties = contract.customProperties or []
    places = [index for index, property_ in enumerate(properties) if property_.property == "lake"]
    if not places:
        findings.error(
            ("customProperties",),
            f"customProperties has no property lake; write it with at least {least}",
        )
        findings.spoil(("customProperties",))
        return model(), ("customProperties",)
    at: Steps = ("customProperties", places[0], "value")
    if len(places) > 1:
        findings.error(("customProperties", places[1]), "the property lake is there twice; write one")
    data = properties[places[0]].value
    if not isinstance(data, dict):
        findings.error(at, f"lake must be a mapping; write at least {least}")
        findings.spoil(at)
        return model(), at
    report_unknown_keys(findings, model, data, at, ("lake",))
    return validate(findings, model, data, at, ("lake",)), at


def check_lake_block(
    findings: DocumentFaults, block: LakeBlock, at: Steps, columns: tuple[Column, ...], dialect: str
) -> None:
    """Report values of a lake block that its table's columns or its dialect do not allow."""
    _LakeBlockCheck(findings, block, at, columns, dialect).judge()


class _LakeBlockCheck:
    """Checks one lake block against the columns and the dialect of its contract."""

    def __init__(
        self, findings: DocumentFaults, block: LakeBlock, at: Steps, columns: tuple[Column, ...], dialect: str
    ) -> None:
        self._findings = findings
        self._block = block
        self._at = at
        self._columns = {column.name: column for column in columns}
        self._dialect = dialect

    def judge(self) -> None:
        self._judge_timezone()
        self._judge_mode()
        self._judge_watermark()
        self._judge_deletes()
        self._judge_columns()
        self._judge_limits()
        self._judge_privacy()
        if self._block.silver is not None and not is_identifier(self._block.silver):
            self._error("silver", f"{self._block.silver} is no model name; write lower case letters, digits and _")

    def _error(self, key: str, message: str) -> None:
        steps = key.split(".")
        self._findings.error((*self._at, *steps), f"lake.{key}: {message}")

    def _judge_timezone(self) -> None:
        zone = self._block.timezone
        if zone is None:
            self._error("timezone", "is missing; write the zone of the source's clock, e.g. America/Sao_Paulo")
            return
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):  # the name of a folder of time zones raises OSError
            self._error("timezone", f"{zone} is no IANA time zone{near(zone, available_timezones())}")

    def _judge_mode(self) -> None:
        block = self._block
        if block.mode is None:
            self._error("mode", "is missing; write full, incremental or changes")
        if block.mode is Mode.INCREMENTAL and block.watermark is None:
            self._error(
                "watermark", "is missing; mode incremental needs it: name the column that grows with each change"
            )
        if block.mode is Mode.CHANGES and self._dialect not in ("sqlserver", ""):
            self._error(
                "mode", f"changes is for sqlserver, but the source is {self._dialect}; write full or incremental"
            )
        if block.mode in (Mode.FULL, Mode.CHANGES):
            for key, value in (("overlap", block.overlap), ("futureTolerance", block.future_tolerance)):
                if value is not None:
                    self._error(key, f"is about windows of a watermark, and mode {block.mode} reads none; remove it")
        if block.bronze is BronzeMode.OVERWRITE and block.mode not in (Mode.FULL, None):
            self._error("bronze", f"overwrite needs mode full, but mode is {block.mode}; write append or merge")

    def _judge_watermark(self) -> None:
        block = self._block
        for key, value in (("overlap", block.overlap), ("futureTolerance", block.future_tolerance)):
            if value is not None and value < timedelta(0):
                self._error(key, "is negative; write a duration of zero or more, e.g. PT2H")
        if block.watermark is None and block.null_watermark is not None:
            self._error("nullWatermark", "is about rows without a watermark, and the block names none; remove it")
        column = self._column("watermark", block.watermark)
        if column is None:
            return
        self._judge_nulls(column)
        type_ = column.arrow_type
        if not (_is_temporal(type_) or pa.types.is_int64(type_)):
            self._error("watermark", f"{column.name} is {type_}; name a timestamp, a date or a 64-bit number")
        if column.truncate and not block.overlap:
            self._error(
                "overlap",
                f"is missing; the watermark {column.name} is cut to microseconds, and rows of one microsecond are told "
                "apart by reading them again: write e.g. PT2H",
            )
        if pa.types.is_int64(type_) and block.overlap:
            self._error("overlap", f"is a duration, but the watermark {column.name} is a number; remove it")

    def _judge_nulls(self, column: Column) -> None:
        given = self._block.null_watermark
        if given is None and not column.required:
            self._error(
                "watermark",
                f"{column.name} may be null; say what becomes of such rows: `nullWatermark: include` (loaded, and read "
                "again by each load), `quarantine` or `fail`",
            )
        if given is NullWatermark.INCLUDE and column.required:
            self._error(
                "nullWatermark",
                f"include loads rows without {column.name}, which is `required: true`; remove one of the two",
            )

    def _judge_deletes(self) -> None:
        block = self._block
        if block.deletes is Deletes.CHANGES and block.mode not in (Mode.CHANGES, None):
            self._error("deletes", f"changes needs mode changes, but mode is {block.mode}; write keys or none")
        if block.bronze is BronzeMode.OVERWRITE and block.deletes in (Deletes.KEYS, Deletes.CHANGES):
            self._error("deletes", "has no meaning where bronze is overwrite (what is gone is gone); write none")

    def _judge_columns(self) -> None:
        block = self._block
        day = self._column("partition", block.partition)
        if day and not (pa.types.is_date(day.arrow_type) or pa.types.is_null(day.arrow_type)):
            self._error("partition", f"{day.name} is {day.arrow_type}; name a date column or remove it")
        sequence = self._column("sequence", block.sequence)
        if sequence and not (pa.types.is_integer(sequence.arrow_type) or pa.types.is_null(sequence.arrow_type)):
            self._error("sequence", f"{sequence.name} is {sequence.arrow_type}; a sequence is a whole number")
        for index, name in enumerate(block.tracked or ()):
            tracked = self._column(f"tracked[{index}]", name, (*self._at, "tracked", index))
            if tracked and tracked.key_position is not None:
                message = f"lake.tracked[{index}]: {name} is a key, which never changes; remove it"
                self._findings.error((*self._at, "tracked", index), message)
        moment = self._column("reconcile.partition", block.reconcile.partition if block.reconcile else None)
        if moment and not _is_temporal(moment.arrow_type):
            self._error("reconcile.partition", f"{moment.name} is {moment.arrow_type}; name a date or timestamp column")

    def _judge_privacy(self) -> None:
        """Warn of personal columns whose values commits, names of folders and the ledger hold."""
        block = self._block
        partition = block.reconcile.partition if block.reconcile else None
        named = {"watermark": block.watermark, "sequence": block.sequence, "partition": block.partition}
        for key, name in {**named, "reconcile.partition": partition}.items():
            column = self._columns.get(name or "")
            if column and column.is_personal and not pa.types.is_string(column.arrow_type):  # a text is an error
                message = f"{name} is personal, and commits and the ledger hold its values; name another column"
                self._findings.warn((*self._at, *key.split(".")), f"lake.{key}: {message}")

    def _judge_limits(self) -> None:
        quarantine, reconcile = self._block.quarantine, self._block.reconcile
        usual = Reconcile().critical_gap_percent
        if quarantine and _is_above(quarantine.warn_percent, quarantine.fail_percent, Contract.quarantine_fail_percent):
            self._error(
                "quarantine", "warnPercent is more than failPercent; write it lower, to warn before a load fails"
            )
        if reconcile and _is_above(reconcile.warning_gap_percent, reconcile.critical_gap_percent, usual):
            self._error("reconcile", "warningGapPercent is more than criticalGapPercent; write it lower")

    def _column(self, key: str, name: str | None, steps: Steps | None = None) -> Column | None:
        """Return the named column; an unknown name is a fault."""
        if name is None or not self._columns:
            return None
        if name not in self._columns:
            at = steps or (*self._at, *key.split("."))
            self._findings.error(at, f"lake.{key}: {name} is no column of the table{near(name, self._columns)}")
        return self._columns.get(name)


def read_freshness(findings: DocumentFaults, contract: OpenDataContractStandard) -> timedelta | None:
    """Return the SLA's freshness: the maximum age of the newest row. Units are minutes, hours and days."""
    found = _read_sla(findings, contract, "freshness", _UNITS, write="m, h or d", example="`value: 24` with `unit: h`")
    return None if found is None else float(found[0]) * found[1]


def read_retention(findings: DocumentFaults, contract: OpenDataContractStandard) -> Period | None:
    """Return the SLA's retention: how long history is kept. Whole days, months or years of the calendar."""
    found = _read_sla(
        findings,
        contract,
        "retention",
        _PERIODS,
        write="d, month or y",
        example="`value: 5` with `unit: y`",
        whole=True,
    )
    return None if found is None else Period(found[1].months * int(found[0]), found[1].days * int(found[0]))


def _read_sla(
    findings: DocumentFaults,
    contract: OpenDataContractStandard,
    name: str,
    units: Mapping[str, Unit],
    *,
    write: str,
    example: str,
    whole: bool = False,
) -> tuple[Decimal, Unit] | None:
    """Return the value and the unit of an SLA property; None if it is not there, or wrong, which is reported."""
    found = None
    kind = "whole number" if whole else "number"
    for index, sla in enumerate(contract.slaProperties or []):
        at: Steps = ("slaProperties", index)
        if (sla.property or "").casefold() != name:
            continue
        if found is not None:
            findings.error(at, f"{name} is given twice; keep one")
        unit = units.get((sla.unit or "").casefold())
        if unit is None:
            findings.error((*at, "unit"), f"{name} has the unit {sla.unit or '(none)'}; write {write}")
        try:
            value = Decimal(findings.document.text((*at, "value")) or "")
        except InvalidOperation:
            value = Decimal(0)
        if not value.is_finite() or not 0 < value < _LONGEST or (whole and value != value.to_integral_value()):
            findings.error((*at, "value"), f"{name} must be a {kind} above 0, e.g. {example}")
        elif unit is not None:
            found = value, unit
    return found


def _is_temporal(type_: pa.DataType) -> bool:
    """Return whether the type is a date or moment. Also true for the null type, whose fault is reported already."""
    return bool(pa.types.is_timestamp(type_) or pa.types.is_date(type_) or pa.types.is_null(type_))


def _is_above(warning: float | None, limit: float | None, usual_limit: float) -> bool:
    return warning is not None and warning > (usual_limit if limit is None else limit)
