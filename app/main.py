"""The server: its routes and its layers, in order. The composition root of the HTTP side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from sqlalchemy import column, literal_column, select, table
from starlette.applications import Starlette
from starlette.middleware import Middleware

from app.access_log import AccessLog
from app.answer_headers import AnswerHeaders
from app.auth import Authentication
from app.body_limit import BodyLimit, CloseUnread
from app.events import event_routes
from app.exceptions import EXCEPTION_HANDLERS, CatchExceptions
from app.graphql import graphql_routes
from app.health import Check, health_routes
from app.host_limit import FILE, HostRateLimiter
from app.metrics import CountRequests, Metrics
from app.openapi import openapi_route
from app.pages import page_routes
from app.rate_limit import WINDOW_S, RateLimiter, RedisRateLimiter
from app.recordings import recording_routes
from app.request_id import RequestId
from app.rest.adapter import compile_endpoints, rest_routes
from app.rest.routes import CSV, PREFIX, ROUTES
from app.sessions import session_routes
from app.sign_in_limits import QUARTER_S
from app.stream import stream_routes
from app.websocket.route import websocket_routes
from schema import migrations
from schema.rules.contact_import import MAX_BYTES
from schema.runtime import Runtime

PUBLIC = frozenset({f"{PREFIX}/openapi.json"})
"""What anybody may read although it is below a protected path."""


def create_app(
    runtime: Runtime,
    *,
    limiter: RateLimiter | None = None,
    metrics: Metrics | None = None,
    checks: Mapping[str, Check] | None = None,
) -> Starlette:
    """The ASGI application over `runtime`, which must be of the event loop that serves it and is closed with it.

    `limiter` None counts in Redis if the settings name one, else in a file for this host. `metrics` may hold the
    figures of others, `checks` add to `/readyz` (the queue); the database and its migrations are checked already.
    Raises OperationError, RouteError, DescriptionError or TypeError when the REST table does not fit the schema. Serve
    it with uvicorn's `proxy_headers=False` (decision K3), `log_config=None` and `access_log=False`.
    """
    settings = runtime.settings
    endpoints = compile_endpoints()
    counting = limiter or _limiter(runtime)
    quarters = _limiter(runtime, QUARTER_S)
    figures = metrics or Metrics()
    ready = {"database": _database_check(runtime), "migrations": _migrations_check(runtime), **(checks or {})}

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await counting.close()
            await quarters.close()
            await runtime.close()

    app = Starlette(
        routes=[
            *rest_routes(endpoints),
            *event_routes(runtime),
            openapi_route(settings, endpoints),
            *graphql_routes(),
            *stream_routes(runtime),
            *websocket_routes(runtime, counting),
            *session_routes(runtime, counting, quarters),
            *recording_routes(runtime),
            *health_routes(ready),
            figures.route(),
            *page_routes(settings),
        ],
        middleware=[
            Middleware(AnswerHeaders),
            Middleware(RequestId),
            Middleware(AccessLog, trusted_proxies=settings.trusted_proxies),
            Middleware(CountRequests, metrics=figures),
            Middleware(CloseUnread),
            Middleware(CatchExceptions),
            Middleware(
                Authentication,
                runtime=runtime,
                limiter=counting,
                prefixes=(PREFIX, "/graphql"),
                public=PUBLIC,
                with_sessions=("/graphql",),
                trusted_proxies=settings.trusted_proxies,
            ),
            Middleware(BodyLimit, larger={PREFIX + route.path: MAX_BYTES for route in ROUTES if route.body == CSV}),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a path with a slash too many is another path: 404
    return app


def _limiter(runtime: Runtime, window_s: int = WINDOW_S) -> RateLimiter:
    url = runtime.settings.redis_url
    of_host = HostRateLimiter(runtime.settings.data / FILE, runtime.clock, window_s=window_s)
    if url is None:
        return of_host
    return RedisRateLimiter(url.get_secret_value(), runtime.clock, window_s=window_s, fallback=of_host)


def _database_check(runtime: Runtime) -> Check:
    async def check() -> str | None:
        await runtime.database.read(select(literal_column("1").label("one")))
        return None

    return check


def _migrations_check(runtime: Runtime) -> Check:
    wanted = migrations.head()

    async def check() -> str | None:
        rows = await runtime.database.read(select(column("version_num")).select_from(table("alembic_version")))
        found = rows[0].version_num if rows else None
        return None if found == wanted else "The database is not at this version's migration: voxforge migrate"

    return check
