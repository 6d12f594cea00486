"""The clients against a server of ours: every fault with its outcome. No answer of a true model is judged here."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from ingestion.errors import ConfigurationError
from ingestion.secrets import Secrets
from ingestion.secrets.local import Environment
from monitoring.advisor.ask import complete
from monitoring.advisor.checking import ModelAnswer
from monitoring.advisor.models.base import Failure, Model, ModelError, Prompt
from monitoring.advisor.models.opening import KEY, open_model
from tests.advisor.model_server import GOOD, Reply, Served, serving

PROMPT = Prompt("log_analyzer", "log_analyzer v1", "Explain.", '{"untrusted": "TNS:no listener"}')
PATHS = {
    "openai": "/v1/chat/completions",
    "azure": "/openai/deployments/m/chat/completions?api-version=2024-10-21",
    "anthropic": "/v1/messages",
}


def opened(provider: str, url: str, key: str = "geheim") -> Model:
    environ = {"LAKEHOUSE_MODEL": f"{provider}:m", KEY: key}
    environ["LAKEHOUSE_MODEL_URL"] = f"{url}/v1" if provider == "openai" else url
    model = open_model(environ, Secrets([Environment(environ)]))
    assert model is not None
    return model


def asked(provider: str, served: Served, *, seconds: float = 10.0, naps: list[float] | None = None) -> Any:
    sleep: Callable[[float], None] = time.sleep if naps is None else naps.append
    return complete(opened(provider, served.url), PROMPT, ModelAnswer, seconds=seconds, sleep=sleep)


@pytest.mark.parametrize("provider", PATHS)
def test_an_answer_in_the_asked_form_is_read_with_its_tokens(provider: str) -> None:
    with serving() as served:
        told = asked(provider, served)

    assert told.answer == ModelAnswer.model_validate(GOOD)
    assert (told.tokens_in, told.tokens_out) == (900, 80)
    [(path, headers, body)] = served.requests
    assert path == PATHS[provider]
    assert any("geheim" in value for value in headers.values())
    assert "root_cause" in json.dumps(body)  # the schema
    assert "tools" not in body


FAULTS: dict[str, tuple[Reply, Failure, int]] = {
    "500": (Reply(status=500), Failure.UNAVAILABLE, 3),
    "503": (Reply(status=503), Failure.UNAVAILABLE, 3),
    "429": (Reply(status=429), Failure.BUSY, 3),
    "429 for an hour": (Reply(status=429, headers={"retry-after": "3600"}), Failure.BUSY, 1),
    "401": (Reply(status=401), Failure.KEY_REFUSED, 1),
    "403": (Reply(status=403), Failure.KEY_REFUSED, 1),
    "404": (Reply(status=404), Failure.NOT_FOUND, 1),
    "400": (Reply(status=400), Failure.REJECTED, 1),
    "cut off": (Reply(text='{"cause": null, "root', reason="length"), Failure.CUT_OFF, 1),
    "refusal": (Reply(text="", refusal="I will not"), Failure.REFUSED, 1),
    "filtered": (Reply(text="", reason="content_filter"), Failure.REFUSED, 1),
    "prose": (Reply(text="The listener seems to be down."), Failure.WRONG_FORM, 1),
    "other form": (Reply(text='{"answer": 42}'), Failure.WRONG_FORM, 1),
    "one field more": (Reply(text=json.dumps(GOOD | {"requires_human_approval": False})), Failure.WRONG_FORM, 1),
    "too sure": (Reply(text=json.dumps(GOOD | {"confidence": 7})), Failure.WRONG_FORM, 1),
    "no text": (Reply(text=""), Failure.WRONG_FORM, 1),
    "no JSON": (Reply(raw=b"<html>bad gateway</html>"), Failure.WRONG_FORM, 1),
}


@pytest.mark.parametrize("provider", PATHS)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_its_outcome_and_its_number_of_tries(provider: str, fault: str) -> None:
    reply, failure, tries = FAULTS[fault]
    with serving(reply) as served, pytest.raises(ModelError) as raised:
        asked(provider, served, naps=[])

    assert raised.value.failure is failure
    assert len(served.requests) == tries
    assert "listener" not in str(raised.value)  # no text of a model stands in an error


@pytest.mark.parametrize("provider", PATHS)
def test_a_busy_server_is_asked_again_after_the_pause_that_it_names(provider: str) -> None:
    naps: list[float] = []
    with serving(Reply(status=429, headers={"retry-after": "2"}), Reply(status=500), Reply()) as served:
        told = asked(provider, served, naps=naps)

    assert told.answer.confidence == 0.8
    assert naps == [2.0, 1.0]


@pytest.mark.parametrize("provider", PATHS)
def test_a_slow_server_is_not_waited_for_longer_than_the_limit(provider: str) -> None:
    begun = time.monotonic()
    with serving(Reply(pause=5)) as served, pytest.raises(ModelError) as raised:
        asked(provider, served, seconds=0.3)

    assert raised.value.failure is Failure.TIMED_OUT
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("provider", PATHS)
def test_a_server_that_is_not_there_cannot_be_reached(provider: str) -> None:
    with serving() as served:
        pass
    with pytest.raises(ModelError) as raised:
        asked(provider, served, naps=[])

    assert raised.value.failure is Failure.UNREACHABLE


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"LAKEHOUSE_MODEL": "gpt-5"}, "must be openai:<model>"),
        ({"LAKEHOUSE_MODEL": "vertex:x"}, "must be openai:<model>"),
        ({"LAKEHOUSE_MODEL": "openai:"}, "must be openai:<model>"),
        ({"LAKEHOUSE_MODEL": "openai:m"}, f"{KEY}: not set"),
        ({"LAKEHOUSE_MODEL": "anthropic:m"}, f"{KEY}: not set"),
        ({"LAKEHOUSE_MODEL": "azure:m", KEY: "k"}, "LAKEHOUSE_MODEL_URL: not set"),
        ({"LAKEHOUSE_MODEL": "openai:m", "ENABLE_LLM_OBSERVABILITY": "false"}, "ENABLE_LLM_OBSERVABILITY is false"),
    ],
)
def test_what_a_model_lacks_is_said(environ: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as raised:
        open_model(environ, Secrets([Environment(environ)]))
    assert "No model was asked." in str(raised.value)


def test_without_a_setting_there_is_no_model() -> None:
    assert open_model({}, Secrets()) is None


def test_azure_without_a_key_is_asked_with_a_token_of_entra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.advisor.models.opening._entra_token", lambda: lambda: "a token of Entra")
    with serving() as served:
        environ = {"LAKEHOUSE_MODEL": "azure:m", "LAKEHOUSE_MODEL_URL": served.url}
        model = open_model(environ, Secrets([Environment(environ)]))
        assert model is not None
        model.complete(PROMPT, ModelAnswer, seconds=10)

    [(path, headers, _)] = served.requests
    assert path == PATHS["azure"]
    assert headers["authorization"] == "Bearer a token of Entra"
    assert "api-key" not in headers


def test_a_package_that_logs_in_without_a_key_and_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    environ = {"LAKEHOUSE_MODEL": "azure:m", "LAKEHOUSE_MODEL_URL": "https://x.example"}

    with pytest.raises(ConfigurationError, match="the package azure-identity"):
        open_model(environ, Secrets([Environment(environ)]))
