"""What the pages cost a server: time, bytes and requests of each, on 10 and 200 tables. `make bench-web`.

    python -m tests.bench.web

The ledger has a year of daily loads and gap checks. The first answer reads the ledger; a further one is kept until the
ledger changes. The last line and `results/web.json` have, per page, the time of 200 tables as a multiple of that of 10.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

from monitoring.web.app import create_app
from monitoring.web.pages import PAGES
from tests.web.worlds import big

RESULT = Path(__file__).with_name("results") / "web.json"
SIZES = (10, 200)
PATHS = [*("/" if page.name == "home" else f"/{page.name}" for page in PAGES), "/api/v1/metrics", "/metrics"]


def main() -> None:
    again: dict[tuple[str, int], float] = {}
    for tables in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            site = big(Path(folder), tables).site()
            with TestClient(create_app(site)) as client:
                client.get("/static/page.css")
                for path in PATHS:
                    first, size, requests = _get(client, path)
                    again[path, tables] = min(_get(client, path)[0] for _ in range(5))
                    sys.stdout.write(
                        f"{tables:4} tables {path:16} first {1000 * first:6.0f} ms   again "
                        f"{1000 * again[path, tables]:5.0f} ms   {size / 1000:6.1f} kB compressed   "
                        f"{requests} requests\n"
                    )
            site.close()
    ratios = {path: round(again[path, SIZES[1]] / again[path, SIZES[0]], 2) for path in PATHS}
    milliseconds = {path: round(1000 * again[path, SIZES[1]]) for path in PATHS}
    RESULT.write_text(json.dumps({"tables": SIZES, "ratios": ratios, "ms": milliseconds}, indent=2) + "\n")
    sys.stdout.write(" ".join(f"{path}={ratio:g}" for path, ratio in ratios.items()) + "\n")


def _get(client: TestClient, path: str) -> tuple[float, int, int]:
    """Return the seconds of an answer, its compressed bytes, and how many requests a browser needs for the page."""
    started = time.perf_counter()
    answer = client.get(path)
    seconds = time.perf_counter() - started
    files = (
        {*re.findall(r'(?:href|src)="(static/[^"]+)"', answer.text)} if "html" in answer.headers["content-type"] else ()
    )
    return seconds, len(gzip.compress(answer.content)), 1 + len(files)


if __name__ == "__main__":
    main()
