"""Opens the model that the settings name. Opening sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from ingestion.errors import ConfigurationError
from ingestion.secrets import Secrets
from ingestion.settings.clouds import flag
from ingestion.settings.registry import value_of
from ingestion.shipped import pip_install
from monitoring.advisor.models.base import Model

KEY = "LAKEHOUSE_MODEL_KEY"
PROVIDERS = ("openai", "azure", "anthropic")
_SCOPE = "https://cognitiveservices.azure.com/.default"


def open_model(environ: Mapping[str, str], secrets: Secrets) -> Model | None:
    """
    Return the model that LAKEHOUSE_MODEL names; None if it is not set.

    Raises ConfigurationError, and what the places of secrets raise.
    """
    named = value_of("LAKEHOUSE_MODEL", environ)
    if not named:
        return None
    if flag("ENABLE_LLM_OBSERVABILITY", environ) is False:
        raise ConfigurationError(
            "ENABLE_LLM_OBSERVABILITY is false, but LAKEHOUSE_MODEL is set. No model was asked. Remove one of them."
        )
    provider, _, model = named.partition(":")
    if provider not in PROVIDERS or not model:
        raise ConfigurationError(
            f"LAKEHOUSE_MODEL is {named!r}; it must be {', '.join(f'{each}:<model>' for each in PROVIDERS)}. "
            "No model was asked. Correct it."
        )
    url = value_of("LAKEHOUSE_MODEL_URL", environ)
    found = secrets.find(KEY)
    return _opened(provider, model, url, "" if found is None else found.reveal())


def _opened(provider: str, model: str, url: str, key: str) -> Model:
    if provider == "azure" and not url:
        raise _lacking("LAKEHOUSE_MODEL_URL", "the resource's address, https://<name>.openai.azure.com")
    if not key and (provider == "anthropic" or (provider == "openai" and not url)):
        raise _lacking(KEY, "the key of the model's provider, in the environment or the secret store")
    module: Any = _client("anthropic" if provider == "anthropic" else "openai_compatible")
    opened: Model
    if provider == "azure":
        opened = module.open_azure(model, url, key, None if key else _entra_token())
    else:
        opened = getattr(module, f"open_{provider}")(model, url, key)
    return opened


def _client(name: str) -> Any:
    try:
        return import_module(f"monitoring.advisor.models.{name}")
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"LAKEHOUSE_MODEL: the package {exc.name} is not installed. No model was asked. Run: "
            f"{pip_install('advisor')}"
        ) from None


def _entra_token() -> Callable[[], str]:
    try:
        identity: Any = import_module("azure.identity")
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"LAKEHOUSE_MODEL: {KEY} is not set, and the package azure-identity, which logs in without a key, is not "
            f"installed. No model was asked. Set the key, or run: {pip_install('azure-secrets')}"
        ) from None
    provider: Callable[[], str] = identity.get_bearer_token_provider(identity.DefaultAzureCredential(), _SCOPE)
    return provider


def _lacking(name: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"{name}: not set. No model was asked. Set it to {what}.")
