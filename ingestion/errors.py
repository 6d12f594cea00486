"""Every error this package raises on purpose.

The tree is the retry policy, and each leaf has its own exit code:

    LakehouseError
    ├── UnexpectedError            1        an unknown error; retried like a transient one
    ├── TablesFailedError                   several tables of one command failed, each with its own error
    ├── PermanentError                      do not retry; a person must change something
    │   ├── ConfigurationError        10    a setting, a name or an installed extra is missing or wrong
    │   ├── InvalidContractError      11    a contract file is wrong
    │   ├── BrokenContractError       12    the source no longer keeps its contract
    │   ├── DeleteBrakeError          13    more keys vanished than the contract allows
    │   ├── QuarantineLimitError      14    more rows are bad than the contract allows
    │   ├── LakeError                 15    the lake folder is not ours, or is incomplete
    │   ├── IntegrityError            16    a count or a schema is not as expected
    │   ├── BuildError                17    dbt did not build all that was planned
    │   ├── RunFailedError            18    a run ended with failures in the ledger
    │   ├── ApprovalNeededError       19    a repair would write more than the contract allows without approval
    │   └── CriticalGapError          30    a critical gap is confirmed
    └── TransientError                      retry; no change is needed
        ├── SourceUnavailableError    20    the database did not answer
        │   └── SnapshotLostError     22    the database no longer has the fixed point
        ├── ConcurrentWriteError      21    another writer committed first
        ├── LakeUnavailableError      23    the lake's storage did not answer
        └── SecretStoreUnavailableError 24  the store of the secrets did not answer

A message has a subject, the finding, the consequence and the next step, in plain words.
It never holds a row value or a secret.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

SIGNALLED = 128
"""The exit code of a process that a signal ended is this plus the signal's number."""


class LakehouseError(Exception):
    """Base of all errors raised on purpose. `exit_code` is what the command line ends with."""

    exit_code = 1


class UnexpectedError(LakehouseError):
    """
    An unknown error in the work on one subject.

    The message has the class and the position of the original error. Its text may hold row values and is left out. The
    original error is kept as the cause only if LAKEHOUSE_DEBUG is set.
    """

    def __init__(self, subject: str, error: BaseException) -> None:
        super().__init__(
            f"{subject}: unexpected error {type(error).__name__} "
            f"{place_of(error.__traceback__)}. "
            "This step failed; other tables are not touched, and what was committed before stays. Its text may hold "
            "row values and is not shown. Run it again with LAKEHOUSE_DEBUG=true to see all of it, and report it."
        )


def place_of(trace: TracebackType | None) -> str:
    """Return this project's innermost line in an error's traceback, and the library's line that raised it."""
    frames = traceback.extract_tb(trace)
    if not frames:
        return "at an unknown place"
    root = Path(__file__).parents[1]
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(root / "ingestion")]
    inner = frames[-1]
    told = f"in {Path(inner.filename).name}:{inner.lineno}"
    if not ours:
        return told
    place = f"at {Path(ours[-1].filename).relative_to(root)}:{ours[-1].lineno}"
    return place if ours[-1] is inner else f"{place} ({told})"


class PermanentError(LakehouseError):
    """A retry cannot succeed: a person must change something first."""


class TransientError(LakehouseError):
    """A later attempt may succeed without a change."""


class ConfigurationError(PermanentError):
    """A setting, a name or an installed extra is missing or wrong."""

    exit_code = 10


class LoginRefusedError(ConfigurationError):
    """A database refused user or password: perhaps they were changed since they were read."""


class TablesFailedError(LakehouseError):
    """Several tables of one command failed; the others are done. `exit_code` is their common one, else 18."""

    def __init__(self, errors: Sequence[LakehouseError], of: int) -> None:
        super().__init__(errors, of)
        self.errors, self.of = tuple(errors), of
        codes = {error.exit_code for error in errors}
        self.exit_code = codes.pop() if len(codes) == 1 else RunFailedError.exit_code

    def __str__(self) -> str:
        rest = self.of - len(self.errors)
        others = f"; the other {rest} are done" if rest else ""
        told = dict.fromkeys(map(str, self.errors))  # a lost database gives one error for all its tables
        return "\n\n".join([f"{len(self.errors)} of {self.of} tables failed{others}.", *told])


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One fault in a contract file. `line` counts from 1; 0 means the file as a whole.

    `severity` is error, or warning for something that is allowed but rarely intended.
    """

    path: str
    line: int
    message: str
    severity: str = "error"

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.message}" if self.severity == "error" else f"{place}: {self.severity}: {self.message}"


class InvalidContractError(PermanentError):
    """One or more contract files are wrong; every fault is listed."""

    exit_code = 11

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        count = len(self.faults)
        lines = [f"{count} fault{'s' if count != 1 else ''} in the contracts."]
        lines += [f"  {fault}" for fault in self.faults]
        lines.append("Nothing was done by these contracts. Correct the files and run `lakehouse contract lint`.")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Break:
    """One place where a source differs from its contract."""

    column: str
    promised: str
    found: str


class BrokenContractError(PermanentError):
    """The source no longer has what its contract promises; every break is listed."""

    exit_code = 12

    def __init__(self, contract_id: str, breaks: Sequence[Break]) -> None:
        super().__init__(contract_id, breaks)
        self.contract_id = contract_id
        self.breaks = tuple(breaks)

    def __str__(self) -> str:
        lines = [f"{self.contract_id}: the source no longer keeps the contract."]
        lines += [f"  {b.column}: expected {b.promised}, found {b.found}" for b in self.breaks]
        lines.append(
            "No rows were written. Repair the source, or release the next version of the contract "
            f"(`lakehouse contract accept {self.contract_id}`)."
        )
        return "\n".join(lines)


class RetypeError(BrokenContractError):
    """Bronze cannot be converted to the types that its contract now promises: existing values would change."""

    def __str__(self) -> str:
        lines = [f"{self.contract_id}: Bronze cannot take types of its contract."]
        lines += [f"  {b.column}: expected {b.promised}, found {b.found}" for b in self.breaks]
        lines.append(
            "Nothing was written, and the lake reads as before. Write the old type in the contract again (where the "
            "source's is narrower by now, with `onDrift: {changedType: ignore}`), or make the column a new one: write "
            "another `name`, keep its physicalName. Bronze keeps the old column with its values then."
        )
        return "\n".join(lines)


class DeleteBrakeError(PermanentError):
    """
    More keys vanished from the source than the contract lets a load delete; `deletes` is how many.

    Of a repair: `rereads` is the number of rows that it would read again, `rows` the size of the table.
    """

    exit_code = 13
    deletes = rereads = rows = 0


class QuarantineLimitError(PermanentError):
    """More rows break the contract than its quarantine limit allows."""

    exit_code = 14


class LakeError(PermanentError):
    """The lake folder is not ours, is incomplete, or uses features that an engine cannot read."""

    exit_code = 15


class IntegrityError(PermanentError):
    """A count or a schema is not as expected; nothing was committed."""

    exit_code = 16


class BuildError(PermanentError):
    """dbt did not build all that was planned."""

    exit_code = 17


class RunFailedError(PermanentError):
    """A run ended with failures in the ledger."""

    exit_code = 18


class ApprovalNeededError(PermanentError):
    """
    A repair would write more than the contract allows without approval.

    `rereads` is the number of rows that it would read again, `deletes` that of deletions, `rows` the size of the table.
    """

    exit_code = 19
    deletes = rereads = rows = 0


class CriticalGapError(PermanentError):
    """A critical gap between a table and its source is confirmed."""

    exit_code = 30


class SourceUnavailableError(TransientError):
    """The source database did not answer."""

    exit_code = 20


class SnapshotLostError(SourceUnavailableError):
    """The database no longer has the state of the fixed point: the table is read again at a new one."""

    exit_code = 22


class ConcurrentWriteError(TransientError):
    """Another writer committed to the same table first; nothing of this attempt was kept."""

    exit_code = 21


class LakeUnavailableError(TransientError):
    """The lake's storage did not answer, or not in time."""

    exit_code = 23


class SecretStoreUnavailableError(TransientError):
    """The store of the secrets did not answer, or has too many requests."""

    exit_code = 24
