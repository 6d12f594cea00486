"""The runbooks as HTML: the Markdown files of `docs/runbooks`, which the package brings."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from posixpath import normpath
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from ingestion.shipped import RUNBOOKS
from monitoring.findings import Kind

OVERVIEW = "index"
Url = Callable[..., str]


def as_html(kind: str, url: Url) -> Markup:
    """Return the runbook of a kind of fault, the overview of all for any other text. `url` makes links to pages."""
    name = kind if kind in {*Kind} else OVERVIEW
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    return Markup(_MARKDOWN.render(text, {"url": url}))  # noqa: S704 (our own files; HTML in them is escaped)


def _open_link(renderer: Any, tokens: Sequence[Token], at: int, options: Any, env: MutableMapping[str, Any]) -> str:
    """Link another runbook; of any other page of the documentation only the name is shown, after the link's text."""
    target, _, _ = str(tokens[at].attrs["href"]).partition("#")
    name = target.removesuffix(".md")
    if name in {*Kind, OVERVIEW}:
        env["after"] = "</a>"
        tokens[at].attrs["href"] = env["url"]("runbooks", kind=None if name == OVERVIEW else name)
        return str(renderer.renderToken(tokens, at, options, env))
    env["after"] = f", <code>{normpath(f'docs/runbooks/{target}')}</code>"
    return ""


def _close_link(renderer: Any, tokens: Sequence[Token], at: int, options: Any, env: MutableMapping[str, Any]) -> str:
    del renderer, tokens, at, options
    return str(env["after"])


def _around(before: str, after: str) -> Callable[..., str]:
    """Return a rule that writes a token between these texts."""

    def rule(renderer: Any, tokens: Sequence[Token], at: int, options: Any, env: MutableMapping[str, Any]) -> str:
        return f"{before}{renderer.renderToken(tokens, at, options, env)}{after}"

    return rule


def _code(renderer: Any, tokens: Sequence[Token], at: int, options: Any, env: MutableMapping[str, Any]) -> str:
    del renderer, options, env
    return str(Markup('<pre tabindex="0">{}</pre>').format(tokens[at].content))


_RULES: dict[str, Callable[..., str]] = {
    "link_open": _open_link,
    "link_close": _close_link,
    "fence": _code,
    # a wide table moves sideways in its own frame, which the keyboard reaches
    "table_open": _around('<div class="scroll" tabindex="0">', ""),
    "table_close": _around("", "</div>"),
}
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
for _name, _rule in _RULES.items():
    _MARKDOWN.add_render_rule(_name, _rule)
