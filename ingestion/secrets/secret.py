"""A secret as a value that cannot be shown by accident, and the interface of what provides secrets."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import NoReturn, Protocol

HIDDEN = "***"


class Secret:
    """
    A text that only `reveal` shows: repr, str and formatting give `***`.

    It cannot be copied, pickled or made JSON, so it is in no dump, log or message between processes.
    """

    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        self._reveal: Callable[[], str] = lambda: value  # so that no printed attribute holds it

    def reveal(self) -> str:
        return self._reveal()

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is neither copied nor pickled: read it where it is needed")


class SecretProvider(Protocol):
    """One place where secrets are kept."""

    @property
    def place(self) -> str:
        """The place in words, for messages."""
        ...

    def get(self, name: str) -> Secret | None:
        """
        Return the secret under a variable's name, such as AIRFLOW_CONN_ERP; None if this place has none.

        Raises ConfigurationError if it may not be read, SecretStoreUnavailableError if the place does not answer.
        """
        ...

    def path(self, name: str) -> str:
        """Return what the secret is called in this place."""
        ...
