"""Models of Anthropic."""

from __future__ import annotations

from typing import Any

import anthropic

from monitoring.advisor.models.base import MOST_TOKENS, Completion, Failure, ModelError, Prompt, T, parsed, translated


class AnthropicModel:
    """A model behind `/v1/messages`. The client's own retries are off."""

    def __init__(self, model: str, client: anthropic.Anthropic) -> None:
        self._model, self._client = model, client

    @property
    def name(self) -> str:
        return f"anthropic:{self._model}"

    def complete(self, prompt: Prompt, schema: type[T], *, seconds: float) -> Completion[T]:
        with translated(anthropic, anthropic.AnthropicError):
            told: Any = self._client.messages.create(
                model=self._model,
                max_tokens=MOST_TOKENS,
                system=prompt.instructions,
                messages=[{"role": "user", "content": prompt.input}],
                output_config={"format": {"type": "json_schema", "schema": schema.model_json_schema()}},
                timeout=seconds,
            )
        return _completion(told, schema)


def _completion(told: Any, schema: type[T]) -> Completion[T]:
    usage = getattr(told, "usage", None)
    tokens = getattr(usage, "input_tokens", None), getattr(usage, "output_tokens", None)
    reason = getattr(told, "stop_reason", None)
    if reason == "refusal":
        raise ModelError(Failure.REFUSED, tokens_in=tokens[0], tokens_out=tokens[1])
    if reason in ("max_tokens", "model_context_window_exceeded"):
        raise ModelError(Failure.CUT_OFF, tokens_in=tokens[0], tokens_out=tokens[1])
    parts = [part.text for part in getattr(told, "content", None) or [] if getattr(part, "type", "") == "text"]
    return parsed(schema, "".join(parts), *tokens)


def open_anthropic(model: str, url: str, key: str) -> AnthropicModel:
    """Return a model of Anthropic, or of a server at `url` with the same interface."""
    return AnthropicModel(model, anthropic.Anthropic(api_key=key, base_url=url or None, max_retries=0))
