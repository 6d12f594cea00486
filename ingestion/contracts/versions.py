"""What changed between two versions of a contract, and which changes break consumers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from ingestion.contracts.model import Column, Contract, NullWatermark, Rule

_UPPER = ("max_length", "maximum", "exclusive_maximum")


@dataclass(frozen=True, slots=True)
class Change:
    """
    One change, as a sentence. `breaking`: a consumer or the history in the lake must be changed for it. `visible`:
    readers may find other rows, columns or values than before, and nothing has to be changed.

    `kind` is what changed (column, type, key, ..., version); `column` is None for a change of the table;
    `note` gives a further consequence, e.g. that more rows may be quarantined.
    """

    kind: str
    breaking: bool
    sentence: str
    column: str | None = None
    note: str = ""
    visible: bool = False

    @property
    def level(self) -> str:
        return "BREAKING" if self.breaking else "visible to readers" if self.visible else "ok"


def compare_versions(old: Contract, new: Contract) -> list[Change]:
    """
    Return all changes, breaking ones first, then visible ones; empty for equal contracts (the file's path is ignored).

    A change of kind `version` says that the version number does not match the other changes.

    Raises:
        ValueError: the two are not versions of one contract.
    """
    if old.id != new.id:
        raise ValueError(f"{old.id} and {new.id} are two contracts, not two versions of one")
    changes = [
        *_table_changes(old, new),
        *_null_watermark_changes(old, new),
        *_retention_changes(old, new),
        *_column_changes(old, new),
    ]
    changes.sort(key=lambda change: (not change.breaking, not change.visible))
    return [*_version_changes(old, new, changes), *changes]


def _version_changes(old: Contract, new: Contract, changes: list[Change]) -> Iterator[Change]:
    before, after = _numbers(old.version), _numbers(new.version)
    breaking = sum(change.breaking for change in changes)
    if breaking and after[0] <= before[0]:
        yield Change(
            "version",
            True,
            f"the version goes from {old.version} to {new.version}, but {breaking} "
            f"change{'s break' if breaking > 1 else ' breaks'} the contract: make it {before[0] + 1}.0.0",
        )
    elif changes and after <= before:
        yield Change(
            "version",
            False,
            f"the version goes from {old.version} to {new.version}, but the contract changed: "
            f"make it {before[0]}.{before[1] + 1}.0",
        )


# field, name in the sentence, whether a change breaks, consequence
_TABLE_FIELDS: tuple[tuple[str, str, bool, str], ...] = (
    ("dialect", "the kind of database", True, "types and spelling of the source change with it"),
    ("source_table", "the source table", True, "rows come from another place"),
    ("key_names", "the merge key", True, "versions of a row are told apart by it: reload the table"),
    ("watermark", "the watermark", True, "windows are cut by it: reload the table once"),
    ("sequence", "the sequence", True, "it orders the changes of a key"),
    ("mode", "the mode", True, "changes are found another way"),
    ("timezone", "the time zone", True, "wall clock of the source is read by it; loaded rows keep the old reading"),
    ("bronze", "the Bronze mode", True, "history is kept or dropped by it"),
    ("partition", "the Bronze partition", True, "a table keeps its partitions: rewrite it"),
    ("tracked", "the tracked columns", True, "versions open by them: rebuild Silver"),
    ("silver_model", "the Silver model", True, "consumers select from it by name"),
    ("deletes", "how deletions are found", False, "rows gone from the source may stay or go"),
    ("overlap", "the overlap", False, ""),
    ("future_tolerance", "the future tolerance", False, ""),
    ("max_delete_percent", "the delete brake", False, ""),
    ("chunk_rows", "the chunk size", False, ""),
    ("drift", "the drift policy", False, ""),
    ("quarantine_warn_percent", "the quarantine's warning share", False, ""),
    ("quarantine_fail_percent", "the quarantine's limit", False, ""),
    ("quality", "the quality checks", False, ""),
    ("reconcile", "the limits of the sync gap", False, ""),
    ("description", "the description", False, ""),
)


def _table_changes(old: Contract, new: Contract) -> Iterator[Change]:
    for field, name, breaking, note in _TABLE_FIELDS:
        before, after = getattr(old, field), getattr(new, field)
        if before == after:
            continue
        is_long = field in ("quality", "description", "drift", "reconcile")
        tail = "changed" if is_long else f"changed from {_shown(before)} to {_shown(after)}"
        yield Change(field, breaking, f"{name} {tail}", None, note, visible=field == "deletes")


def _null_watermark_changes(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = old.null_watermark, new.null_watermark
    if before is after:
        return
    note = ""
    if NullWatermark.INCLUDE in (before, after):
        note = (
            "consumers may meet nulls" if after is NullWatermark.INCLUDE else "such rows no longer change in the lake"
        )
    sentence = f"what becomes of rows without a watermark changed from {before} to {after}"
    yield Change("null_watermark", bool(note), sentence, None, note)


def _retention_changes(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = old.retention, new.retention
    if before == after:
        return
    now = datetime.now(UTC)
    is_shorter = after is not None and (before is None or after.before(now) > before.before(now))
    note = "the next maintenance removes what is older" if is_shorter else "what was removed before stays away"
    sentence = f"the retention changed from {before or 'no end'} to {after or 'no end'}"
    yield Change("retention", is_shorter, sentence, None, note, visible=not is_shorter)


def _column_changes(old: Contract, new: Contract) -> Iterator[Change]:
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    renamed = {c.source_name: c.name for c in new.columns if c.name not in before}
    for name, column in before.items():
        if name in after:
            yield from _one_column(column, after[name])
        elif column.source_name in renamed:
            sentence = f"{name} is renamed to {renamed[column.source_name]}"
            yield Change("column", True, sentence, name, "consumers select it by name")
        else:
            yield Change("column", True, f"{name} is removed", name, "its new rows are null")
    old_sources = {column.source_name for column in old.columns if column.name not in after}
    for name, column in after.items():
        if name not in before and column.source_name not in old_sources:
            yield Change("column", False, f"{name} is new", name, "it is null in rows loaded before", visible=True)


def _one_column(old: Column, new: Column) -> Iterator[Change]:
    name = old.name
    yield from _type_changes(old, new)
    if old.source_name != new.source_name:
        sentence = f"{name} is read from {new.source_name}, not {old.source_name}"
        yield Change("source_name", False, sentence, name, "make sure that it means the same", visible=True)
    if (old.classification or "") != (new.classification or ""):
        before, after = old.classification or "none", new.classification or "none"
        sentence = f"the classification of {name} changed from {before} to {after}"
        yield Change("classification", True, sentence, name, "who may see it depends on it")
    if old.mask is not new.mask:
        sentence = f"the mask of {name} changed from {old.mask} to {new.mask}"
        yield Change("mask", True, sentence, name, "Gold and lists of rows show it in another form")
    if old.required and not new.required:
        yield Change("required", True, f"{name} is no longer required", name, "consumers may meet nulls")
    if new.required and not old.required:
        yield Change(
            "required", False, f"{name} is required now", name, "rows without it are quarantined", visible=True
        )
    if kinds := {rule.kind for rule in set(_other_rules(old)) ^ set(_other_rules(new))}:
        wider = sorted(kind for kind in kinds if _admits_more(_rule(old, kind), _rule(new, kind)))
        if wider:
            sentence = f"the rules of {name} admit more values ({', '.join(wider)})"
            yield Change(
                "rules", False, sentence, name, "consumers may meet values that they do not know", visible=True
            )
        if tighter := sorted(kinds - {*wider}):
            sentence = f"the rules of {name} changed ({', '.join(tighter)})"
            yield Change("rules", False, sentence, name, "other rows may be quarantined than before", visible=True)
    if old.description != new.description:
        yield Change("description", False, f"the description of {name} changed", name)


def _type_changes(old: Column, new: Column) -> Iterator[Change]:
    before, after = (f"{c.physical_type} ({c.logical_type})" for c in (old, new))
    if old.arrow_type != new.arrow_type:
        note = "the next load retypes Bronze, which reads and writes the table once, or says what does not fit"
        yield Change("type", True, f"the type of {old.name} changed from {before} to {after}", old.name, note)
    elif before != after:
        sentence = f"the declaration of {old.name} changed from {before} to {after}"
        yield Change("physical_type", False, sentence, old.name, f"it stays {new.arrow_type} in the lake")
    if old.truncate != new.truncate:
        verb = "are cut to microseconds now" if new.truncate else "are no longer cut to microseconds"
        note = "" if new.truncate else "rows with more digits are quarantined"
        yield Change("truncate", False, f"moments of {old.name} {verb}", old.name, note, visible=True)
    if old.source_type != new.source_type:
        before, after = old.source_type or "none", new.source_type or "none"
        sentence = f"the source's own type of {old.name} changed from {before} to {after}"
        yield Change("source_type", False, sentence, old.name)


def _other_rules(column: Column) -> tuple[Rule, ...]:
    return tuple(rule for rule in column.rules if rule.kind != "required")


def _rule(column: Column, kind: str) -> Rule | None:
    return next((rule for rule in column.rules if rule.kind == kind), None)


def _admits_more(old: Rule | None, new: Rule | None) -> bool:
    """Return whether a rule now accepts a value that it refused before. Always true for two patterns."""
    if old is None or new is None:
        return new is None
    before, after = old.argument, new.argument
    if isinstance(before, tuple) and isinstance(after, tuple):
        return not {*after} <= {*before}
    if old.kind == "pattern":
        return True
    was, will_be = _size(before), _size(after)
    return will_be > was if old.kind in _UPPER else will_be < was


def _size(argument: object) -> tuple[Decimal, str]:
    """Return the sort value of a bound: a number, or a moment as its text."""
    try:
        return Decimal(str(argument)), ""
    except InvalidOperation:
        return Decimal(0), str(argument)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value) or "none"
    return "none" if value is None else str(value)
