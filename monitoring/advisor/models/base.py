"""What the advisor needs of a language model, and how its failures are told apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)
MOST_TOKENS = 1_200
"""Tokens that an answer may have at most."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is sent: a role's instructions, and the input, which is data."""

    role: str
    version: str
    instructions: str
    input: str

    @property
    def most_tokens(self) -> int:
        """How many tokens the call can cost at most, input and answer; an estimate from above."""
        return (len(self.instructions) + len(self.input)) // 2 + MOST_TOKENS


@dataclass(frozen=True, slots=True)
class Completion(Generic[T]):
    """A model's answer in the asked form, and the tokens that it took; None: the server did not say."""

    answer: T
    tokens_in: int | None
    tokens_out: int | None


class Failure(StrEnum):
    """Why a model gave no answer that can be used."""

    TIMED_OUT = "it did not answer in time"
    UNREACHABLE = "it cannot be reached"
    UNAVAILABLE = "its server failed"
    BUSY = "it has too many requests"
    KEY_REFUSED = "it refuses the key; see LAKEHOUSE_MODEL_KEY"
    NOT_FOUND = "it does not know the model, or is in another region; see LAKEHOUSE_MODEL and LAKEHOUSE_MODEL_URL"
    REJECTED = "it rejects the request"
    REFUSED = "it refused to answer"
    CUT_OFF = "its answer was cut off"
    WRONG_FORM = "its answer does not have the asked form"


PASSING = (Failure.TIMED_OUT, Failure.UNREACHABLE, Failure.UNAVAILABLE, Failure.BUSY)
"""Failures after which a second try may succeed."""


class ModelError(Exception):
    """A model gave no usable answer. `retry_after` is how many seconds its server wants to be left alone."""

    def __init__(
        self, failure: Failure, *, retry_after: float = 0.0, tokens_in: int | None = None, tokens_out: int | None = None
    ) -> None:
        super().__init__(failure)
        self.failure, self.retry_after = failure, retry_after
        self.tokens_in, self.tokens_out = tokens_in, tokens_out


class Model(Protocol):
    """One language model at one address."""

    @property
    def name(self) -> str:
        """The provider and the model, such as `openai:gpt-5-mini`."""
        ...

    def complete(self, prompt: Prompt, schema: type[T], *, seconds: float) -> Completion[T]:
        """Ask once, without a retry. Raises ModelError."""
        ...


@contextmanager
def translated(client: Any, whatever: type[Exception]) -> Iterator[None]:
    """
    Turn what a client raises into ModelError. `client` is its module, `whatever` the base of its errors.

    Those of OpenAI and Anthropic are made by one generator and name their errors alike.
    """
    try:
        yield
    except client.APIStatusError as exc:
        raise of_status(exc.status_code, exc.response.headers.get("retry-after")) from None
    except client.APITimeoutError:
        raise ModelError(Failure.TIMED_OUT) from None
    except client.APIConnectionError:
        raise ModelError(Failure.UNREACHABLE) from None
    except (whatever, ValueError):  # an answer that is no JSON at all
        raise ModelError(Failure.WRONG_FORM) from None


def of_status(status: int, retry_after: str | None) -> ModelError:
    """Return the failure for a server's status."""
    failures = {401: Failure.KEY_REFUSED, 403: Failure.KEY_REFUSED, 404: Failure.NOT_FOUND, 408: Failure.TIMED_OUT}
    failures[429] = Failure.BUSY
    failure = failures.get(status) or (Failure.UNAVAILABLE if status >= 500 else Failure.REJECTED)
    try:
        pause = min(max(float(retry_after or 0), 0.0), 3_600.0)
    except ValueError:  # a date, which few servers send
        pause = 0.0
    return ModelError(failure, retry_after=pause)


def parsed(schema: type[T], text: str, tokens_in: int | None, tokens_out: int | None) -> Completion[T]:
    """Return a model's text as an answer. Raises ModelError if it does not have the form."""
    try:
        return Completion(schema.model_validate_json(text), tokens_in, tokens_out)
    except ValueError:  # its message would quote the model's text
        raise ModelError(Failure.WRONG_FORM, tokens_in=tokens_in, tokens_out=tokens_out) from None
