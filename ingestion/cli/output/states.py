"""States and severities as coloured words. The word says all; colour only helps to find it (and obeys NO_COLOR)."""

from __future__ import annotations

from rich.text import Text

_COLOURS = {
    "green": ("OK", "ok", "yes", "equal", "repaired", "replayed", "resolved_in_flight"),
    "cyan": ("OK*", "waived", "settled"),
    "yellow": ("WARNING", "warning", "suspected", "open", "partial"),
    "red": ("CRITICAL", "failed", "confirmed", "missing", "damaged", "no", "BREAKING", "error"),
    "magenta": ("UNKNOWN",),
}
_STYLES = {word: colour for colour, words in _COLOURS.items() for word in words}
_URGENCY = ("red", "magenta", "yellow")


def state(word: str | None) -> Text | None:
    """Return a state as a cell of a table, in the colour that this state has in every command; None stays None."""
    return None if word is None else Text(word, _STYLES.get(word, ""))


def urgency(*words: str | None) -> int:
    """Return a sort key that puts the worst of some states first, and all states that need nobody equally last."""
    colours = [_STYLES.get(word or "") for word in words]
    return min((_URGENCY.index(colour) for colour in colours if colour in _URGENCY), default=len(_URGENCY))
