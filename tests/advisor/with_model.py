"""Asks a true model about the golden cases, as the product does; its calls are recorded in a lake of their own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import create_lake
from ingestion.ledger.journal import Journal
from ingestion.secrets import Secrets
from ingestion.secrets.local import Environment
from monitoring.advisor.ask import Advisor, Asked
from monitoring.advisor.budget import Budget
from monitoring.advisor.call_views import CallSum, call_sums
from monitoring.advisor.calls import Calls
from monitoring.advisor.documents import passages
from monitoring.advisor.models.opening import open_model
from monitoring.advisor.retrieval import Library
from monitoring.advisor.values import Advice, Question
from tests.advisor import harness
from tests.advisor.raised import ROOT


@contextmanager
def asking(
    name: str, environ: Mapping[str, str] = os.environ
) -> Iterator[tuple[Callable[[Question], Advice], Callable[[], list[CallSum]]]]:
    """Yield what asks a model such as `openai:gpt-5-mini`, with the key and address of the environment, and its sums."""
    environ = {**environ, "LAKEHOUSE_MODEL": name}
    model = open_model(environ, Secrets([Environment(environ)]))
    assert model is not None
    library = Library(passages(ROOT / "data_contracts", ROOT / "dbt_project"))
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(create_lake(Path(folder) / "lake"), DeltaRs())
        asked = Asked(model, Calls(journal, Budget(20_000, 5_000_000, 5_000_000)))
        advisor = Advisor(harness.names(), library, asked)
        yield lambda question: advisor.answer(question, "log_analyzer"), lambda: call_sums(journal)
    library.close()
