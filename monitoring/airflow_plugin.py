"""
The page inside Airflow's UI: an entry in the menu, and a tab on each run of a DAG. The wheel names it.

Airflow loads this module in each of its processes, so all else is imported with the first request of a page. Airflow
does not guard the applications of plugins: every route asks for its login, and for the right to read DAGs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

Scope = MutableMapping[str, Any]
PREFIX = "/lakehouse"


class OnFirstRequest:
    """The ASGI application, made when it is first asked."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._app: Any = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Callable[..., Any], send: Callable[..., Awaitable[None]]) -> None:
        async with self._lock:
            if self._app is None:
                self._app = await asyncio.to_thread(self._make)
        await self._app(scope, receive, send)


def _make() -> Any:
    import os
    from pathlib import Path

    from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
    from airflow.configuration import conf
    from fastapi import Depends

    from ingestion.settings import Settings
    from ingestion.settings.process import prepare_process
    from monitoring.web.app import create_app
    from monitoring.web.site import Site

    beside = Path(conf.get("core", "dags_folder")).parent
    project = Path(os.environ.get("LAKEHOUSE_PROJECT") or beside).expanduser().absolute()
    prepare_process(os.environ, project)
    settings = Settings.from_environ({**os.environ, "LAKEHOUSE_PROJECT": str(project)})

    def who(user: Any = Depends(get_user)) -> str:  # noqa: B008 - how FastAPI is told
        return str(user.get_name())

    return create_app(Site(settings), guards=[requires_access_dag("GET")], who=who, in_airflow=True)


_VIEW = {"icon": f"{PREFIX}/static/icon.svg", "icon_dark_mode": f"{PREFIX}/static/icon.svg", "name": "Lakehouse"}


class LakehousePlugin(AirflowPlugin):  # type: ignore[misc]
    """Registers the application, the menu's entry and the tab of a run."""

    name = "lakehouse"
    fastapi_apps = [{"app": OnFirstRequest(_make), "url_prefix": PREFIX, "name": "lakehouse"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {**_VIEW, "href": "lakehouse/", "destination": "nav", "url_route": "lakehouse", "nav_top_level": True},
        {
            **_VIEW,
            "href": "lakehouse/pipeline?run={DAG_ID}/{RUN_ID}",
            "destination": "dag_run",
            "url_route": "lakehouse_run",
        },
    ]
