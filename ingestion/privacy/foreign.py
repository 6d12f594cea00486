"""The one door for text that a database or a library wrote: what passes it may stand in our messages and logs."""

from __future__ import annotations

from ingestion.privacy.masker import PIIMasker
from ingestion.privacy.quoted import without_quoted


def foreign_text(text: str) -> str:
    """
    Return a text of a database or a library without values of rows, as far as they can be told from the rest.

    Quoted values are cut out first, then what looks like a personal value is masked. Only foreign text is given to it,
    before it is put into a message of ours: numbers of ours (an SCN, a count) could look like a person's.
    """
    return PIIMasker().mask(without_quoted(text))
