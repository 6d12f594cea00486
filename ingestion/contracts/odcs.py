"""Contract files: a folder holds `<system>/<entity>.odcs.yaml`, one per source table, and those of streams.

Streams are in `streams/<name>.odcs.yaml` (id `streams.<name>`) or `streams/<system>.<entity>.odcs.yaml`.

Importing this module is cheap: the YAML and ODCS libraries are imported when a file is read.
"""

from __future__ import annotations

import difflib
import os
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.errors import ConfigurationError, Fault, InvalidContractError

if TYPE_CHECKING:
    from ingestion.contracts.conversations import Conversation
    from ingestion.contracts.model import Contract
    from ingestion.contracts.streams import Stream
from ingestion.contracts.revisions import text_of

SUFFIX = ".odcs.yaml"
STREAMS = "streams"
"""The folder of stream contracts, which no table load reads."""


def read_contract(path: Path) -> Contract:
    """
    Read one file. Its folder's name must be the system, its own name the entity.

    Raises:
        InvalidContractError: with every fault of the file.
    """
    contract, faults = _examine(path, str(path))
    if contract is None:
        raise InvalidContractError([fault for fault in faults if fault.severity == "error"])
    return contract


def read_version(name: str, other: str, *, folder: Path = Path()) -> Contract:
    """
    Read one version of a contract: a file of any place and name, or a text in git.

    `name` is a path; else `REVISION:PATH` as git reads it (from the top of the repository that holds `folder`), or a
    REVISION alone, which means the file `other` in that revision. Raises ConfigurationError if it is none of these,
    InvalidContractError.
    """
    path = Path(name)
    contract, faults = (
        _examine(path, name, placed=False)
        if path.is_file()
        else _examine_text(text_of(name, other, folder=folder), name, path)
    )
    if contract is None:
        raise InvalidContractError([fault for fault in faults if fault.severity == "error"])
    return contract


def read_contracts(folder: Path) -> tuple[Contract, ...]:
    """
    Read all contracts of a folder, sorted by id.

    Raises:
        InvalidContractError: with every fault of every file; also for a folder without contracts.
    """
    contracts, faults = examine_folder(folder)
    errors = [fault for fault in faults if fault.severity == "error"]
    if errors:
        raise InvalidContractError(errors)
    return contracts


def lint(folder: Path, *, strict: bool = False) -> list[Fault]:
    """Return all faults and warnings of a folder, by path and line; nothing is raised for a wrong contract."""
    return examine_folder(folder, strict=strict)[1]


def examine_folder(folder: Path, *, strict: bool = False) -> tuple[tuple[Contract, ...], list[Fault]]:
    """
    Return the valid contracts of tables in a folder, sorted by id, and all faults and warnings, by path and line.

    Faults of stream contracts are among them. With `strict` a missing description, owner or freshness is a fault too;
    it makes no contract invalid.
    """
    contracts: list[Contract] = []
    faults: list[Fault] = []
    found = 0
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        relative = path.relative_to(folder)
        if any(part.startswith(".") for part in relative.parts):
            continue
        shown = relative.as_posix()
        if not path.name.endswith(SUFFIX):
            faults.append(Fault(shown, 0, f"is not read; name a contract <entity>{SUFFIX}", "warning"))
            continue
        found += 1
        if len(relative.parts) != 2:
            faults.append(Fault(shown, 0, f"stands at the wrong depth; move it to <system>/<entity>{SUFFIX}"))
            continue
        if relative.parts[0] == STREAMS:
            faults += _examine_stream(path, shown, strict=strict)[1]
            continue
        contract, own_faults = _examine(path, shown, strict=strict)
        faults += own_faults
        contracts += [contract] if contract else []
    if not found:
        faults.append(
            Fault(folder.name, 0, f"holds no contract; write one as <system>/<entity>{SUFFIX}, or by: lakehouse add")
        )
    faults += _shared_models(contracts)
    return tuple(sorted(contracts, key=lambda contract: contract.id)), sorted(faults, key=lambda f: (f.path, f.line))


def find_contract(folder: Path, contract_id: str) -> Contract:
    """
    Read the contract of that id and no other file.

    Raises:
        ConfigurationError: there is no file for that id.
        InvalidContractError: with every fault of the file.
    """
    system, _, entity = contract_id.partition(".")
    path = folder / system / f"{entity}{SUFFIX}"
    # listing the ids of all for each of many tables would take long
    if system == STREAMS or not (_has(folder, system) and _has(folder / system, path.name)):
        known = list_contract_ids(folder)
        near = difflib.get_close_matches(contract_id, known, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ConfigurationError(
            f"{contract_id}: no contract has this id.{hint} Nothing was read. "
            f"Known are: {', '.join(known) or 'none'}; a new one belongs to <system>/<entity>{SUFFIX}."
        )
    contract, faults = _examine(path, _shown(path, folder))
    if contract is None:
        raise InvalidContractError([fault for fault in faults if fault.severity == "error"])
    return contract


def list_contract_ids(folder: Path) -> list[str]:
    """
    Return the ids of a folder's contracts of tables, sorted, from the file names alone: no file is opened.

    Raises:
        ConfigurationError: there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"{folder.name}: the folder of the contracts is not there. Nothing was read. Correct the setting."
        )
    paths = (path for path in folder.glob(f"*/*{SUFFIX}") if path.parent.name != STREAMS)
    return sorted(_place_id(path) for path in paths if not path.name.startswith("."))


def list_streams(folder: Path) -> list[str]:
    """Return the names of a folder's stream contracts, sorted, from the file names alone."""
    return sorted(path.name.removesuffix(SUFFIX) for path in (folder / STREAMS).glob(f"[!.]*{SUFFIX}"))


def find_stream(folder: Path, name: str) -> Stream:
    """Read the stream contract of that name. Raises as `find_conversation` does."""
    from ingestion.contracts.streams import Stream  # noqa: PLC0415 - listing names must not cost this import

    found = find_any(folder, name)
    if not isinstance(found, Stream):
        raise ConfigurationError(
            f"{name}: its contract has lake.conversation; it is no stream of messages. Nothing was read. Use: "
            "lakehouse cdc"
        )
    return found


def find_conversation(folder: Path) -> Conversation:
    """
    Read the one contract with `lake.conversation`.

    Raises:
        ConfigurationError: there is none, or more than one.
        InvalidContractError: with every fault of a file.
    """
    from ingestion.contracts.conversations import Conversation  # noqa: PLC0415 - as in `find_stream`

    found = [each for name in list_streams(folder) if isinstance(each := find_any(folder, name), Conversation)]
    if len(found) != 1:
        names = ", ".join(each.name for each in found) or "no contract"
        raise ConfigurationError(
            f"{STREAMS}/: {names} has lake.conversation; one contract must have it. Nothing was read. Write it as "
            "docs/conversations.md shows, or remove the others."
        )
    return found[0]


def find_any(folder: Path, name: str) -> Stream | Conversation:
    """Read the contract of streams of that name. Raises ConfigurationError, InvalidContractError."""
    known = list_streams(folder)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ConfigurationError(
            f"{name}: no stream has this name.{hint} Nothing was read. "
            f"Known are: {', '.join(known) or 'none'}; a new one belongs to {STREAMS}/<name>{SUFFIX}."
        )
    path = folder / STREAMS / f"{name}{SUFFIX}"
    stream, faults = _examine_stream(path, _shown(path, folder))
    if stream is None:
        raise InvalidContractError([fault for fault in faults if fault.severity == "error"])
    return stream


def _examine(
    path: Path, shown: str, *, placed: bool = True, strict: bool = False
) -> tuple[Contract | None, list[Fault]]:
    text, faults = _text(path, shown)
    return (None, faults) if text is None else _examine_text(text, shown, path, placed=placed, strict=strict)


def _examine_stream(
    path: Path, shown: str, *, strict: bool = False
) -> tuple[Stream | Conversation | None, list[Fault]]:
    text, faults = _text(path, shown)
    if text is None:
        return None, faults
    name = path.name.removesuffix(SUFFIX)
    expected_id = name if "." in name else f"{STREAMS}.{name}"
    found, told = _examined_stream(text, shown, str(path), expected_id, strict)
    return found, list(told)


@lru_cache(maxsize=256)  # a command reads conversations for their connections and for their work
def _examined_stream(
    text: str, shown: str, path: str, expected_id: str, strict: bool
) -> tuple[Stream | Conversation | None, tuple[Fault, ...]]:
    from ingestion.contracts.reading.streams import examine_any  # noqa: PLC0415 - as in `_examined`

    found, faults = examine_any(text, shown, path=path, expected_id=expected_id, strict=strict)
    return found, tuple(faults)


def _text(path: Path, shown: str) -> tuple[str | None, list[Fault]]:
    try:
        return path.read_text(encoding="utf-8-sig"), []
    except UnicodeDecodeError:
        return None, [Fault(shown, 0, "is not UTF-8 text; save it as UTF-8")]
    except OSError as exc:
        return None, [Fault(shown, 0, f"cannot be read ({exc.strerror or type(exc).__name__})")]


def _examine_text(
    text: str, shown: str, path: Path, *, placed: bool = False, strict: bool = False
) -> tuple[Contract | None, list[Fault]]:
    place = f"{path.absolute().parent.name}/{path.name}"
    contract, faults = _examined(text, shown, place, _place_id(path) if placed else None, strict)
    return contract, list(faults)


@lru_cache(maxsize=2048)  # a day reads each contract for its load, its check and its incidents
def _examined(
    text: str, shown: str, place: str, expected_id: str | None, strict: bool
) -> tuple[Contract | None, tuple[Fault, ...]]:
    from ingestion.contracts.reading.compile import examine  # noqa: PLC0415 - listing ids must not cost this import

    contract, faults = examine(text, shown, path=place, expected_id=expected_id, strict=strict)
    return contract, tuple(faults)


def _shared_models(contracts: list[Contract]) -> list[Fault]:
    """Return the faults of contracts that name the same Silver model."""
    users: defaultdict[str, list[Contract]] = defaultdict(list)
    for contract in contracts:
        users[contract.silver_model].append(contract)
    return [
        Fault(user.path, 0, f"lake.silver: {model} is the model of {sharers[0].id} already; give each contract its own")
        for model, sharers in users.items()
        for user in sharers[1:]
    ]


def _has(folder: Path, name: str) -> bool:
    """Return whether a folder has an entry of exactly that name, also where case does not tell names apart."""
    try:
        return not name.startswith(".") and name in os.listdir(folder)
    except OSError:
        return False


def _place_id(path: Path) -> str:
    return f"{path.absolute().parent.name}.{path.name.removesuffix(SUFFIX)}"


def _shown(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
