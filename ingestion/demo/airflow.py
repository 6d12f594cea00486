r"""Runs Airflow on this machine with the demo's sources: `make airflow`. Airflow is started, never imported.

Its home is `<project>/airflow` (SQLite, log of all parts in `standalone.log`). It listens on this machine only, and
every user of this machine is an admin of it, so use it for the demo only.

AIRFLOW_PORT  the port of the UI; default 8080, or any free one if that is taken

A run by REST, without the UI:

    token=$(curl -s http://127.0.0.1:8080/auth/token | cut -d'"' -f4)
    curl -X POST -H "Authorization: Bearer $token" -H "Content-Type: application/json" -d '{"logical_date": null}' \
        http://127.0.0.1:8080/api/v2/dags/medallion_daily/dagRuns
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import click

from ingestion.contracts.odcs import list_contract_ids
from ingestion.demo.clock import DAY_2
from ingestion.demo.files import SourceFiles
from ingestion.demo.show import SYSTEMS, demo_settings, initialise_demo, open_world, refuse_foreign
from ingestion.demo.world import World, apply_day_2, create_day_1
from ingestion.errors import ConfigurationError, LakehouseError
from ingestion.lake.mask_salt import SALT
from ingestion.settings import CONNECTION_PREFIX, Settings
from ingestion.settings.process import prepare_process
from ingestion.shipped import pip_install

DAG = "medallion_daily"
POOL_SLOTS = 4
HOST = "127.0.0.1"
DEFAULT_PORT = 8080
START_SECONDS = 180
STOP_SECONDS = 15


def main() -> None:
    """Run until Ctrl-C or SIGTERM; then stop every process that was started."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a background job of a shell ignores SIGINT, and so do its children
        signal.signal(number, signal.default_int_handler)
    try:
        for line in prepare_process(os.environ)[1]:
            click.echo(line, err=True)
        serve(Settings.from_environ(os.environ), choose_port(os.environ))
    except LakehouseError as exc:
        click.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)
    except KeyboardInterrupt:
        click.echo("Airflow has stopped.")


def serve(settings: Settings, port: int) -> None:
    """Prepare sources and lake, start Airflow, create the DAG's pools, unpause it, and wait until Airflow ends."""
    click.echo("Preparing the demo's source systems and its lake.")
    prepare(settings)
    click.echo("Starting Airflow; this takes half a minute.")
    log = settings.project / "airflow" / "standalone.log"
    process = _start(settings, port, log)
    try:
        api = _wait_until_up(process, port, log)
        _open_pools(api, settings)
        api.call("PATCH", f"/api/v2/dags/{DAG}", {"is_paused": False})
        click.echo(f"Airflow is ready: http://{HOST}:{port}/dags/{DAG}   (log: {log}; stop: Ctrl-C)")
        process.wait()
        raise _ended(process, log)
    finally:
        click.echo("Stopping Airflow.")
        stop(process)


def prepare(settings: Settings) -> None:
    """
    Create the demo's source files in their state after day 2, and its lake, unless they exist.

    Files of an earlier `lakehouse demo` are used unchanged. Raises LakeError if the lake is not a demo's.
    """
    refuse_foreign(settings)
    folder = open_world(settings)
    if not all((folder / f"{system}.duckdb").is_file() for system in SYSTEMS):
        world = World()
        create_day_1(world, SourceFiles(folder))
        apply_day_2(world, SourceFiles(folder))
    initialise_demo(settings)


def environment(settings: Settings, port: int) -> dict[str, str]:
    """
    Return the environment of every Airflow process: its settings, the lake, a connection per system.

    Airflow settings of this shell are left out, because they may belong to another Airflow.
    """
    settings = demo_settings(settings, DAY_2)
    connections = {
        CONNECTION_PREFIX + system.upper(): found.as_json()
        for system, found in settings.connections.items()
        if system in SYSTEMS
    }
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")},
        **connections,
        # `standalone` starts its parts by the name `airflow`, without a path
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "LAKEHOUSE_PROJECT": str(settings.project),
        "LAKEHOUSE_ROOT": settings.lake_root,
        "LAKEHOUSE_MEMORY": settings.memory_limit,
        SALT: settings.mask_salt,
        "AIRFLOW_HOME": str(settings.project / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(settings.project / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(POOL_SLOTS),
        # so that a task that was killed with an earlier Airflow is retried after one minute, not after five
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
    }


def choose_port(environ: Mapping[str, str]) -> int:
    """Return the port of AIRFLOW_PORT, else 8080, else a free one. Raises ConfigurationError."""
    named = environ.get("AIRFLOW_PORT")
    if named is None:
        return DEFAULT_PORT if _is_free(DEFAULT_PORT) else _free_port()
    if not named.isdigit() or not _is_free(int(named)):
        raise ConfigurationError(
            f"AIRFLOW_PORT is {named!r}; it must be the number of a free port. Nothing was started. Choose another."
        )
    return int(named) or _free_port()


def stop(process: subprocess.Popen[bytes]) -> None:
    """
    Stop `airflow standalone` and every process of its group; kill those that do not end in time.

    Airflow forwards the signal to running tasks and retries them at its next start.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            process.poll()  # removes the ended leader from the process table, so that the group can become empty
            os.killpg(process.pid, 0)
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _start(settings: Settings, port: int, log: Path) -> subprocess.Popen[bytes]:
    executable = Path(sys.executable).parent / "airflow"
    if not executable.exists():
        raise ConfigurationError(
            f"airflow: not installed beside this Python. Nothing was started. Install it: {pip_install('airflow')}"
        )
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 (this interpreter's own Airflow, fixed arguments)
            [str(executable), "standalone"],
            cwd=settings.project,
            env=environment(settings, port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C must reach only this process, which stops the others in order
        )


@dataclass(frozen=True, slots=True)
class _Api:
    """Airflow's REST API on this machine."""

    port: int
    token: str = ""

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON of a successful response. Raises OSError or HTTPException for any other."""
        connection = HTTPConnection(HOST, self.port, timeout=10)
        try:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 400:
                raise HTTPException(f"{method} {path}: {answer.status}")
            return json.loads(text)
        finally:
            connection.close()


def _wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> _Api:
    """Return the API once it knows the DAG. Raises ConfigurationError if Airflow ends or START_SECONDS pass."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            api = _Api(port, _Api(port).call("GET", "/auth/token")["access_token"])
            api.call("GET", f"/api/v2/dags/{DAG}")
        except (OSError, HTTPException):
            time.sleep(1)
        else:
            return api
    raise _ended(process, log)


def _ended(process: subprocess.Popen[bytes], log: Path) -> ConfigurationError:
    state = f"ended with code {process.returncode}" if process.poll() is not None else f"not up in {START_SECONDS} s"
    tail = "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-12:])
    return ConfigurationError(f"airflow: it is {state}. The lake is whole. See {log}, which ends with:\n{tail}")


def _open_pools(api: _Api, settings: Settings) -> None:
    """Create the pool of each system. Airflow never starts a task whose pool is missing."""
    systems = sorted({contract_id.partition(".")[0] for contract_id in list_contract_ids(settings.contracts)})
    pools = [
        {"name": f"source_{system}", "slots": POOL_SLOTS, "description": f"tasks that read {system} at once"}
        for system in systems
    ]
    create = {"action": "create", "action_on_existence": "skip", "entities": pools}
    api.call("PATCH", "/api/v2/pools", {"actions": [create]})


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
