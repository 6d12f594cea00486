"""A Databricks workspace as the operator sees it: its Jobs API on this machine, whose cluster is this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ingestion.cli import cli

TOKEN = "dapi-4711-never-shown"


@dataclass
class Workspace:
    """What was asked for, and how runs end: each takes the next of `faults`; where that is none the command is run."""

    port: int = 0
    submitted: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)

    @property
    def connection(self) -> str:
        where = {"host": "127.0.0.1", "port": self.port, "schema": "http"}
        return json.dumps({"conn_type": "databricks", **where, "extra": {"token": TOKEN}})

    @property
    def commands(self) -> list[list[str]]:
        return [request["tasks"][0]["python_wheel_task"]["parameters"] for request in self.submitted]

    def answer(self, method: str, path: str, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(f"{method} {path}")
        if path.endswith("/runs/submit"):
            return 200, {"run_id": self._submit(given)}
        run_id = int(given.get("run_id", 0))
        if path.endswith("/runs/get") and self.faults[:1] == ["unreachable"]:
            self.faults.pop(0)
            return 403, {"error_code": "PERMISSION_DENIED", "message": "not now"}
        if path.endswith("/runs/get-output"):
            return 200, {"error": self.errors[run_id // 10], "metadata": {}}
        return 200, self._run(run_id)

    def _submit(self, request: dict[str, Any]) -> int:
        self.submitted.append(request)
        run_id = len(self.submitted)
        fault = self.faults.pop(0) if self.faults[:1] not in ([], ["unreachable"]) else ""
        if fault:
            self.errors[run_id] = fault
            return run_id
        code = cli.main(self.commands[-1], prog_name="lakehouse", standalone_mode=False)
        if code:
            self.errors[run_id] = f"SystemExit: {code}"
        return run_id

    def _run(self, run_id: int) -> dict[str, Any]:
        result = "FAILED" if run_id in self.errors else "SUCCESS"
        state = {"life_cycle_state": "TERMINATED", "result_state": result, "state_message": ""}
        task = {"task_key": "lakehouse", "run_id": run_id * 10, "state": state}
        page = f"http://127.0.0.1:{self.port}/#run/{run_id}"
        return {"run_id": run_id, "job_id": 1, "run_page_url": page, "state": state, "tasks": [task]}


@contextmanager
def serve() -> Iterator[Workspace]:
    """Serve a workspace until the block ends."""
    workspace = Workspace()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            given = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self._answer("GET", parts.path, given | self._body())

        def do_POST(self) -> None:
            self._answer("POST", self.path, self._body())

        def _body(self) -> dict[str, Any]:
            size = int(self.headers.get("Content-Length") or 0)
            return json.loads(self.rfile.read(size)) if size else {}

        def _answer(self, method: str, path: str, given: dict[str, Any]) -> None:
            allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            code, document = workspace.answer(method, path, given) if allowed else (401, {})
            body = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    workspace.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield workspace
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
