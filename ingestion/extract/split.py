"""Splits a batch into rows that keep the contract and rows that break it. No row is dropped."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.model import Contract
from ingestion.errors import IntegrityError
from ingestion.extract.rules import count_breaches, count_missing, judge


@dataclass(frozen=True, slots=True)
class Split:
    """
    `good` holds the contract's columns only, `bad` those and the raw columns.

    `breaks` has one text per row of `bad`: `column:rule` in contract order, joined by `; `.
    `is_good` has one boolean per input row.
    """

    good: pa.RecordBatch
    bad: pa.RecordBatch
    breaks: pa.Array
    is_good: pa.Array


@dataclass(slots=True)
class Tally:
    """
    Totals over the batches of one read.

    `broken` counts rows per `column:rule`, `breaches` values per check, `nulls` and `empties` values per column. A
    value that does not fit its column's type is no null.
    """

    read: int = 0
    good: int = 0
    bad: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    breaches: dict[str, int] = field(default_factory=dict)
    nulls: dict[str, int] = field(default_factory=dict)
    empties: dict[str, int] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Add the totals of another read."""
        self.read += other.read
        self.good += other.good
        self.bad += other.bad
        for sums, counts in (
            (self.broken, other.broken),
            (self.breaches, other.breaches),
            (self.nulls, other.nulls),
            (self.empties, other.empties),
        ):
            for name, count in counts.items():
                add_to(sums, name, count)


def add_to(sums: dict[str, int], name: str, count: int) -> None:
    sums[name] = sums.get(name, 0) + count


def split(contract: Contract, batch: pa.RecordBatch, tally: Tally, *, future: str | None = None) -> Split:
    """
    Check every row of a batch and add it to the tally.

    Raises:
        IntegrityError: the batch does not have the promised types, or is corrupt.
    """
    _check_shape(contract, batch)
    verdicts = list(judge(contract, batch, future=future))
    names = contract.arrow_schema.names
    good = batch.select(names)
    bad = batch.slice(0, 0)
    breaks = pa.array([], pa.string())
    is_good = pa.repeat(pa.scalar(True), batch.num_rows)
    if verdicts:
        is_bad = verdicts[0].broken
        for verdict in verdicts[1:]:
            is_bad = pc.or_(is_bad, verdict.broken)
        # filtered before the join: binary_join_element_wise drops rows whose parts are all null (pyarrow 26.0.1)
        marks = [pc.if_else(v.broken.filter(is_bad), f"{v.column}:{v.rule}", None) for v in verdicts]
        bad, breaks = batch.filter(is_bad), pc.binary_join_element_wise(*marks, "; ", null_handling="skip")
        is_good = pc.invert(is_bad)
        good = good.filter(is_good)
    for verdict in verdicts:
        add_to(tally.broken, f"{verdict.column}:{verdict.rule}", verdict.broken.true_count)
    for check in contract.quality:
        if check.column is not None:
            breaches = count_breaches(contract.column(check.column), check, batch.column(check.column))
            add_to(tally.breaches, check.id, breaches or 0)
    for column in contract.columns:
        missing = count_missing(column, batch)
        add_to(tally.nulls, column.name, missing.nulls)
        if missing.empties is not None:
            add_to(tally.empties, column.name, missing.empties)
    tally.read += batch.num_rows
    tally.good += good.num_rows
    tally.bad += bad.num_rows
    if good.num_rows + bad.num_rows != batch.num_rows:
        raise IntegrityError(
            f"{contract.id}: {batch.num_rows} rows were read, {good.num_rows} kept and {bad.num_rows} quarantined. "
            "Nothing was committed. This is a fault of the program; report it."
        )
    return Split(good, bad, breaks, is_good)


def _check_shape(contract: Contract, batch: pa.RecordBatch) -> None:
    promised = contract.arrow_schema
    found = pa.schema([batch.schema.field(name) for name in batch.schema.names[: len(promised)]])
    if not found.equals(promised):
        different = [
            f"{want.name}: expected {want.type}, found {have.name} {have.type}"
            for want, have in zip(promised, found, strict=False)
            if (want.name, want.type) != (have.name, have.type)
        ]
        raise IntegrityError(
            f"{contract.id}: the driver did not deliver the contract's types "
            f"({'; '.join(different) or 'columns missing'}). "
            "Nothing was committed. This is a fault of the source adapter; report it."
        )
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        # the cause may quote a value, so it is not chained
        raise IntegrityError(
            f"{contract.id}: the driver delivered a corrupt batch (a value outside its own type). "
            "Nothing was committed. Run it again; if it comes back, check the driver's version with `lakehouse doctor`."
        ) from None
