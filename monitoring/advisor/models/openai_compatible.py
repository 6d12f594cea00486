"""Models with OpenAI's interface: OpenAI, Azure, local servers, the compatible endpoints of Vertex and Bedrock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai

from monitoring.advisor.models.base import MOST_TOKENS, Completion, Failure, ModelError, Prompt, T, parsed, translated


class OpenAICompatible:
    """A model behind `/chat/completions`. The client's own retries are off: `ask.complete` retries."""

    def __init__(self, name: str, model: str, client: openai.OpenAI) -> None:
        self._name, self._model, self._client = name, model, client

    @property
    def name(self) -> str:
        return self._name

    def complete(self, prompt: Prompt, schema: type[T], *, seconds: float) -> Completion[T]:
        with translated(openai, openai.OpenAIError):
            told: Any = self._client.chat.completions.create(
                model=self._model,
                messages=[
                    {"role": "system", "content": prompt.instructions},
                    {"role": "user", "content": prompt.input},
                ],
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "strict": True, "schema": schema.model_json_schema()},
                },
                max_completion_tokens=MOST_TOKENS,
                timeout=seconds,
            )
        return _completion(told, schema)


def _completion(told: Any, schema: type[T]) -> Completion[T]:
    usage = getattr(told, "usage", None)
    tokens = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    choices = getattr(told, "choices", None)
    if not choices:
        raise ModelError(Failure.WRONG_FORM, tokens_in=tokens[0], tokens_out=tokens[1])
    message, reason = choices[0].message, choices[0].finish_reason
    if reason == "content_filter" or getattr(message, "refusal", None):
        raise ModelError(Failure.REFUSED, tokens_in=tokens[0], tokens_out=tokens[1])
    if reason == "length":
        raise ModelError(Failure.CUT_OFF, tokens_in=tokens[0], tokens_out=tokens[1])
    return parsed(schema, message.content or "", *tokens)


def open_openai(model: str, url: str, key: str) -> OpenAICompatible:
    """Return a model of OpenAI, or of a server at `url` with the same interface; a local one needs no key."""
    client = openai.OpenAI(api_key=key or "none", base_url=url or None, max_retries=0)
    return OpenAICompatible(f"openai:{model}", model, client)


def open_azure(deployment: str, url: str, key: str, token: Callable[[], str] | None) -> OpenAICompatible:
    """Return a deployment in Azure at its resource's `url`, by key or else by a token of Entra."""
    login: dict[str, Any] = {"api_key": key} if key else {"azure_ad_token_provider": token}
    client = openai.AzureOpenAI(azure_endpoint=url, api_version="2024-10-21", max_retries=0, **login)
    return OpenAICompatible(f"azure:{deployment}", deployment, client)
