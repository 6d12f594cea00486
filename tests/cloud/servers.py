"""Object stores of this machine: moto's S3 and Azurite, each started for one module on a free loopback port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow.fs as pafs
import pytest

ROOT = Path(__file__).parents[2]
_PLACES = os.pathsep.join(
    [str(Path(sys.executable).parent), str(ROOT / ".venv" / "azurite" / "node_modules" / ".bin"), os.environ["PATH"]]
)
MOTO = shutil.which("moto_server", path=_PLACES)
AZURITE = shutil.which("azurite-blob", path=_PLACES)
NEEDS_MOTO = pytest.mark.skipif(MOTO is None, reason="needs moto's server: pip install 'moto[server]'")
NEEDS_AZURITE = pytest.mark.skipif(
    AZURITE is None, reason="needs Azurite: npm install --prefix .venv/azurite azurite@3.35.0"
)


def clear(patch: pytest.MonkeyPatch) -> None:
    """Take every login of the machine out of the environment, so that a test has those that it sets."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "AZURITE_", "GOOGLE_", "GCS_")):
            patch.delenv(name)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")


class S3:
    """moto's server. With `guard` it asks for signatures and policies, as Amazon does."""

    def __init__(self, url: str) -> None:
        self.url = url

    def filesystem(self) -> pafs.S3FileSystem:
        """Return the store as its owner sees it, logged in as nobody in particular."""
        return pafs.S3FileSystem(
            access_key="owner",
            secret_key="owner",
            endpoint_override=self.url,
            region="us-east-1",
            allow_bucket_creation=True,
        )

    def user(self, name: str, policy: str) -> dict[str, str]:
        """Make a user that may do what a policy says, and return its login as variables."""
        self._iam("CreateUser", UserName=name)
        self._iam("PutUserPolicy", UserName=name, PolicyName="lake", PolicyDocument=policy)
        answer = self._iam("CreateAccessKey", UserName=name)
        key, secret = (answer.split(f"<{tag}>")[1].split("<")[0] for tag in ("AccessKeyId", "SecretAccessKey"))
        return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}

    @contextmanager
    def guarded(self) -> Iterator[None]:
        self._post("/moto-api/reset-auth", b"0", "text/plain")
        try:
            yield
        finally:
            self._post("/moto-api/reset-auth", b"inf", "text/plain")

    def _iam(self, action: str, **given: str) -> str:
        body = urllib.parse.urlencode({"Action": action, "Version": "2010-05-08", **given}).encode()
        scope = "AWS4-HMAC-SHA256 Credential=owner/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0"
        return self._post("/", body, "application/x-www-form-urlencoded", {"Authorization": scope})

    def _post(self, path: str, body: bytes, kind: str, headers: dict[str, str] | None = None) -> str:
        request = urllib.request.Request(
            self.url + path, body, {"Content-Type": kind, **(headers or {})}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read(), "utf-8")


@contextmanager
def s3(patch: pytest.MonkeyPatch, log: Path) -> Iterator[S3]:
    """Start moto's server, and let the environment name it."""
    assert MOTO is not None
    port = free_port()
    with _running([MOTO, "-H", "127.0.0.1", "-p", str(port)], f"http://127.0.0.1:{port}/moto-api/", log) as url:
        clear(patch)
        patch.setenv("AWS_ENDPOINT_URL", url.removesuffix("/moto-api/"))
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "owner-of-all")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "owner-of-all")
        yield S3(url.removesuffix("/moto-api/"))


@contextmanager
def adls(patch: pytest.MonkeyPatch, log: Path) -> Iterator[str]:
    """Start Azurite, and let the environment name it."""
    assert AZURITE is not None
    port = free_port()
    options = ["--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    command = [AZURITE, "--blobHost", "127.0.0.1", "--blobPort", str(port), *options]
    with _running(command, f"http://127.0.0.1:{port}", log) as url:
        clear(patch)
        patch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
        patch.setenv("AZURITE_BLOB_STORAGE_URL", url)
        yield url


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def _running(command: list[str], url: str, log: Path) -> Iterator[str]:
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink)
        try:
            _wait(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with suppress(urllib.error.URLError, OSError):
            try:
                urllib.request.urlopen(url, timeout=2).close()
            except urllib.error.HTTPError as answered:
                answered.close()
            return
        time.sleep(0.1)
    pytest.fail(f"{url} did not answer; the command ended with {process.poll()}")
