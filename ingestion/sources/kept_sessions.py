"""Keeps sessions on source databases open from one table to the next, where a command reads many tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ingestion.errors import LakehouseError, LoginRefusedError
from ingestion.settings import Connection

S = TypeVar("S")
_KEPT: dict[int, list[tuple[str, Connection, Any, Callable[[Any], None]]]] = {}
"""Sessions that nobody uses, each with its system and how to close it, by process; none unless it is keeping them."""


@contextmanager
def keeping_sessions() -> Iterator[None]:
    """Keep sessions that are no longer used until the end of the block, for `session_of` to use again."""
    process = os.getpid()
    if process in _KEPT:  # an outer block keeps them
        yield
        return
    _KEPT[process] = []
    try:
        yield
    finally:
        for _, _, session, close in _KEPT.pop(process):
            close(session)


@contextmanager
def session_of(
    system: str,
    connection: Connection,
    *,
    open_session: Callable[[Connection], S],
    reset: Callable[[S], None],
    close: Callable[[S], None],
) -> Iterator[S]:
    """
    Yield a session that nobody else uses: a kept one, or a new one.

    `reset` ends what a user left open, such as a transaction. It is called before a session is kept and before it is
    used again; one for which it raises one of our errors was lost and is closed, which is no error of its user. A
    session is closed at the end unless sessions are kept, and always after an error. Raises what `open_session` raises.
    If the server refuses the login, its secret is read once more, and the login is tried again if it has changed.
    """
    kept = _KEPT.get(os.getpid())
    session = _taken(kept or [], system, connection, reset, close)
    if session is None:
        session = _logged_in(connection, open_session)
    try:
        yield session
    except BaseException:
        close(session)
        raise
    if kept is not None and _is_usable(session, reset, close):
        kept.append((system, connection, session, close))
    elif kept is None:
        close(session)


def _logged_in(connection: Connection, open_session: Callable[[Connection], S]) -> S:
    tried = connection.newest()
    try:
        return open_session(tried)
    except LoginRefusedError as refused:
        try:
            changed = tried.read_again()
        except LakehouseError:
            raise refused from None
        if changed == tried:  # not again: repeated wrong passwords lock a user
            raise
    return open_session(changed)


def _taken(
    kept: list[tuple[str, Connection, Any, Callable[[Any], None]]],
    system: str,
    connection: Connection,
    reset: Callable[[S], None],
    close: Callable[[S], None],
) -> S | None:
    for at, (name, to, session, _) in enumerate(kept):
        if (name, to) == (system, connection):
            del kept[at]
            return session if _is_usable(session, reset, close) else None
    return None


def _is_usable(session: S, reset: Callable[[S], None], close: Callable[[S], None]) -> bool:
    """Reset a session and return whether that was possible; if not, close it."""
    try:
        reset(session)
    except LakehouseError:
        close(session)
        return False
    return True
