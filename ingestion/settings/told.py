"""What every setting is now, where it comes from and what it does. Secrets are only set or unset."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from ingestion.secrets.names import CONNECTION_PREFIX
from ingestion.settings import clouds
from ingestion.settings.old_names import OLD_NAMES
from ingestion.settings.registry import ALIASES, GROUPS, Setting
from ingestion.settings.values import FILES, Settings

ANY_CONNECTION = f"{CONNECTION_PREFIX}<SYSTEM>"


@dataclass(frozen=True, slots=True)
class Told:
    """One setting. `value` is None where nothing is set and there is no default; `origin` says where it comes from."""

    group: str
    name: str
    value: str | None
    origin: str
    effect: str

    def as_dict(self) -> dict[str, str | None]:
        return asdict(self)


def told_settings(settings: Settings, environ: Mapping[str, str], from_file: Container[str] = ()) -> list[Told]:
    """Return every setting in the order of the registry; `from_file` are the variables that `.env` has set."""
    given = dict(environ)
    told = [
        Told(group, name, *_value(setting, name, settings, given, from_file), setting.effect)
        for group, members in GROUPS.items()
        for setting in members
        for name in _names(setting, given)
    ]
    old = [name for name in OLD_NAMES if given.get(name)]
    return told + [
        Told("Without effect", name, "set", _origin(name, from_file), f"today: {OLD_NAMES[name]}") for name in old
    ]


def _names(setting: Setting, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the name of a setting; of connections those that are set, if any is."""
    if setting.name != ANY_CONNECTION:
        yield setting.name
        return
    found = sorted(name for name, value in environ.items() if name.startswith(CONNECTION_PREFIX) and value)
    yield from found or [ANY_CONNECTION]


def _value(
    setting: Setting, name: str, settings: Settings, environ: Mapping[str, str], from_file: Container[str]
) -> tuple[str | None, str]:
    value = environ.get(name)
    if setting.is_secret:
        return ("set", _origin(name, from_file)) if value else ("unset", "default")
    if value:
        return without_login(value), _origin(name, from_file)
    for alias in (alias for alias, of in ALIASES.items() if of == name and environ.get(alias)):
        return environ[alias], alias
    return _derived(name, settings, environ) or (setting.default or setting.without or None, "default")


def _derived(name: str, settings: Settings, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the value of a setting that follows from others."""
    store, is_of_cloud = clouds.secret_store(environ)
    if name == "LAKEHOUSE_SECRETS" and is_of_cloud:
        return store, "cloud default"
    if name == "LAKEHOUSE_PROJECT":
        return str(settings.project), "derived"
    if name == "ENABLE_AZURE_INTEGRATION":
        return _word(bool(clouds.on_azure(environ))), "derived"
    if name == "ENABLE_LLM_OBSERVABILITY":
        return _word(bool(environ.get("LAKEHOUSE_MODEL"))), "derived"
    if name == "ENABLE_REAL_DATABASE_CONNECTIONS":
        servers = any(each.type not in FILES for each in settings.connections.values())
        return _word(servers or settings.secrets.reaches_out), "derived"
    return None


def without_login(value: str) -> str:
    """Return a value for people: a URL without a password and without its query, which may be a signature."""
    parts = urlsplit(value) if "://" in value else None
    if parts is None or not (parts.password or parts.query):
        return value
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl() + " (login hidden)"


def _origin(name: str, from_file: Container[str]) -> str:
    return ".env" if name in from_file else "environment"


def _word(value: bool) -> str:
    return "true" if value else "false"
