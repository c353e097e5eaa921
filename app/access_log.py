"""A log line for each request: who asked what, how it went, how long it took; never a query string or a body."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.addresses import client_of
from app.route_path import loggable_path
from schema.rules.addresses import Network

log = structlog.get_logger("voxforge.access")

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: logged only when they fail."""


class AccessLog:
    """ASGI layer that logs `request` with `method`, `path`, `status`, `duration_ms` and `client`.

    Inside RequestId, which puts `request_id` on the line; outside CatchExceptions, so that crashes have their status.
    `status` is None when the caller left before there was one, and `complete` is false when the answer broke off.
    """

    def __init__(self, app: ASGIApp, trusted_proxies: Sequence[Network] = ()) -> None:
        self._app = app
        self._trusted_proxies = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        status: int | None = None
        complete = False
        begun = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status, complete
            kind = message["type"]
            if kind in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            elif kind == "websocket.accept":
                status = 101
            elif kind == "websocket.close":
                status = status or 403
            complete = kind.endswith(("response.body", ".close")) and not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            if scope["path"] not in PROBES or status is None or status >= 400:
                client = client_of(scope, self._trusted_proxies)
                level = "warning" if status is not None and status >= 500 else "info"
                getattr(log, level)(
                    "request",
                    method=scope.get("method", "WEBSOCKET"),
                    path=loggable_path(scope),
                    status=status,
                    duration_ms=round((time.perf_counter() - begun) * 1000, 1),
                    client=str(client) if client else None,
                    **({} if complete or status == 101 else {"complete": False}),
                )
