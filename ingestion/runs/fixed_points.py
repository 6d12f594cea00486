"""One fixed point per system and run, so that the tables of a run show one state of their source."""

from __future__ import annotations

from ingestion.contracts.window import FixedPoint
from ingestion.runs.context import Context
from ingestion.sources import open_source


def shared_point(context: Context, system: str) -> FixedPoint | None:
    """
    Return the newest fixed point of a system for all loads of a run; None if fixed points cannot be shared.

    Raises SourceUnavailableError, ConfigurationError.
    """
    source = open_source(system, context.settings.connection(system))
    with source.snapshot() as snapshot:
        return snapshot.fixed_point if source.shares(snapshot.fixed_point) else None
