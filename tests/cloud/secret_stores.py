"""
Doubles of the secret stores on a loopback port, for the true clients of the clouds.

They show that our code sends what the clients send, reads the documented forms of answers, and turns each fault into
one clear line. They do not show the clouds' rights, identities, versions or limits: nobody is refused here who was not
scripted to be.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

SILENT, GONE = 0, -1
"""Statuses that stand for no answer, and for a connection that is closed before one."""
CHALLENGE = 'Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://vault.azure.net"'


@dataclass
class Double:
    """
    A server that answers each request with `status` and `body`, and counts what it was asked.

    As Key Vault it asks for a token first (`is_vault`).
    """

    url: str = ""
    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    is_vault: bool = False
    asked: list[str] = field(default_factory=list)

    def answers(self, status: int, body: dict[str, Any]) -> None:
        self.status, self.body = status, body
        self.asked.clear()


@contextmanager
def running(folder: Path | None = None) -> Iterator[Double]:
    """Start a double; with `folder` it is a Key Vault by TLS, whose self-signed certificate is `cert.pem` there."""
    double = Double(is_vault=folder is not None)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if double.is_vault and not self.headers.get("Authorization"):
                self._send(401, {}, {"WWW-Authenticate": CHALLENGE})
                return
            double.asked.append(self.path)
            if double.status == SILENT:
                time.sleep(0.6)
                return
            if double.status == GONE:
                return
            self._send(double.status, double.body, {"WWW-Authenticate": CHALLENGE} if double.status == 401 else {})

        do_POST = do_GET  # noqa: N815 - the server calls it

        def _send(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(text)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if folder is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(_certificate(folder))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        double.url = f"http{'s' if folder else ''}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield double
        finally:
            server.shutdown()
            thread.join()


def _certificate(folder: Path) -> Path:
    """Write a self-signed certificate for 127.0.0.1, with its key, to one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a key vault of the tests")])
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(hours=1),
        not_valid_after=now + timedelta(hours=1),
    ).add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / "cert.pem"
    file.write_bytes(
        made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, form, plain)
    )
    return file


def google_key(token_uri: str) -> dict[str, str]:
    """Return a key file of a service account with a new RSA key, whose tokens come from `token_uri`."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key = rsa.generate_private_key(65537, 2048).private_bytes(serialization.Encoding.PEM, form, plain)
    return {"client_email": "lake@example.iam", "token_uri": token_uri, "private_key": key.decode()}


def google_secret(value: str, raw: bytes = b"") -> dict[str, Any]:
    data = base64.b64encode(raw or value.encode()).decode()
    return {"name": "projects/1/secrets/s/versions/1", "payload": {"data": data}}


def vault_secret(url: str, value: str) -> dict[str, Any]:
    return {"value": value, "id": f"{url}/secrets/s/1", "attributes": {"enabled": True}}
