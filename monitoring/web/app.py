"""The application: pages and API on one site. It fetches nothing from elsewhere, and writes only what a reader thinks
of an answer (decision 0043)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware

from ingestion.errors import LakehouseError
from monitoring.web import advisor_pages, api
from monitoring.web.origins import may_write
from monitoring.web.pages import PAGES, Page
from monitoring.web.render import STATIC, Renderer
from monitoring.web.site import Site

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
OPEN_TO_ALL = ("/healthz", "/readyz")
"""Probes of an orchestrator, which has no token; they tell no name of a table."""


def anybody() -> str:
    """Return who reads the page, where no login tells it."""
    return "page"


def create_app(
    site: Site,
    *,
    token: str = "",
    guards: Sequence[Callable[..., Any]] = (),
    who: Callable[..., str] = anybody,
    in_airflow: bool = False,
) -> FastAPI:
    """
    Return the application. With a `token` every request but the probes needs it, as `Authorization: Bearer …` or as the
    password of HTTP Basic. `guards` are dependencies of every route, e.g. another application's login; `who` is one
    that returns the reader's name. `in_airflow`: the pages are shown in Airflow's UI and link to its runs.
    """
    app = FastAPI(
        title="Lakehouse",
        version="1",
        description="Whether the data is right and on time. Read-only.",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(guard) for guard in guards],
    )
    app.add_middleware(GZipMiddleware, minimum_size=500)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    api.add_routes(app, site)
    renderer = Renderer(live_url, in_airflow=in_airflow)
    for page in PAGES:
        app.add_api_route(
            "/" if page.name == "home" else f"/{page.name}",
            _handler(site, renderer, page),
            response_class=HTMLResponse,
            include_in_schema=False,
        )

    @app.post("/rate", include_in_schema=False)
    def rate(request: Request, by: str = Depends(who)) -> Response:
        if not may_write(request.headers, is_guarded=bool(token or guards)):
            return PlainTextResponse("An answer is rated on the page itself. Nothing was recorded.\n", 403)
        query = dict(request.query_params)
        if not advisor_pages.rate(site, query, by):
            return PlainTextResponse("There is no such answer now. Nothing was recorded.\n", 404)
        return RedirectResponse(live_url("ask", query), 303)

    @app.middleware("http")
    async def protect(request: Request, proceed: Callable[..., Any]) -> Response:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        if token and path not in OPEN_TO_ALL and not _is_let_in(request.headers.get("authorization", ""), token):
            challenge = {"WWW-Authenticate": 'Basic realm="lakehouse", charset="UTF-8"'}
            return PlainTextResponse("Log in with the token of this server.\n", 401, headers=challenge)
        response: Response = await proceed(request)
        response.headers.update(HEADERS)
        if site.is_demo:
            response.headers["Lakehouse-World"] = "demo"
        return response

    @app.exception_handler(LakehouseError)
    def unreadable(request: Request, error: LakehouseError) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(renderer.fault(str(error)), 503)
        return JSONResponse({"detail": str(error)}, 503)

    return app


def _is_let_in(given: str, token: str) -> bool:
    kind, _, value = given.partition(" ")
    if kind.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif kind.lower() != "bearer":
        return False
    return hmac.compare_digest(value.encode(), token.encode())


def _handler(site: Site, renderer: Renderer, page: Page) -> Callable[[Request], Response]:
    def show(request: Request) -> Response:
        query = dict(request.query_params)
        if page.name == "lineage" and query.get("format") == "mermaid":
            return PlainTextResponse(page.read(site, site.board().value, query)["graph"].mermaid())
        return HTMLResponse(renderer.page(site, page, query))

    return show


def live_url(page: str, query: dict[str, str]) -> str:
    """Return the relative address of a page, so that it works below any prefix."""
    return ("./" if page == "home" else page) + (f"?{urlencode(query)}" if query else "")
