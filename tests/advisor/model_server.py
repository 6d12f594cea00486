"""
A server on this machine that speaks the interfaces of OpenAI, Azure and Anthropic, and fails as it is told.

It proves the clients, not the quality of any model: its answers are written by the tests.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = {
    "cause": "source_unavailable",
    "root_cause": "The listener of the source was down.",
    "evidence": [{"source_id": "untrusted", "quote": "TNS:no listener"}],
    "recommended_action": {"text": "Ask the DBA, then load.", "command": "lakehouse load erp.customers"},
    "confidence": 0.8,
}


@dataclass
class Reply:
    """One answer: a status, or a text with the reason why the model ended; `pause` seconds before it."""

    text: str = json.dumps(GOOD)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    reason: str = "stop"
    refusal: str | None = None
    raw: bytes | None = None


@dataclass
class Served:
    """A running server: what it was asked, and the replies that it gives in order, the last one again and again."""

    url: str
    replies: list[Reply]
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)

    @property
    def prompts(self) -> str:
        """Everything that was sent, as one text."""
        return json.dumps([body for _, _, body in self.requests], ensure_ascii=False)


@contextmanager
def serving(*replies: Reply) -> Iterator[Served]:
    """Serve these replies on a free port of this machine."""
    served = Served("", list(replies) or [Reply()])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            served.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            reply = served.replies.pop(0) if len(served.replies) > 1 else served.replies[0]
            stopping.wait(reply.pause)
            content = reply.raw if reply.raw is not None else json.dumps(_document(self.path, reply)).encode()
            try:
                self.send_response(reply.status)
                for name, value in ({"content-type": "application/json"} | reply.headers).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:  # the client did not wait
                pass

        def log_message(self, format: str, *args: Any) -> None:
            pass

    stopping = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield served
    finally:
        stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _document(path: str, reply: Reply) -> dict[str, Any]:
    if reply.status != 200:
        return {"error": {"message": "as told", "type": "error"}}
    if path.startswith("/v1/messages"):
        reasons = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
        return {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": reply.text}],
            "stop_reason": "refusal" if reply.refusal else reasons[reply.reason],
            "stop_sequence": None,
            "usage": {"input_tokens": 900, "output_tokens": 80},
        }
    message = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": reply.reason, "logprobs": None}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 80, "total_tokens": 980},
    }
