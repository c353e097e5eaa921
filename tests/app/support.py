"""A small application in the server's own layers, asked without a socket or over a real one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from app.answer_headers import AnswerHeaders
from app.body_limit import BodyLimit, CloseUnread
from app.exceptions import EXCEPTION_HANDLERS, CatchExceptions
from app.request_id import RequestId


def small_app(routes: Sequence[BaseRoute], *, inner: Sequence[Middleware] = (), **limits: object) -> Starlette:
    """The layers that every answer passes, in the order that they have in the server."""
    layers = [
        Middleware(AnswerHeaders),
        Middleware(RequestId),
        Middleware(CloseUnread),
        Middleware(CatchExceptions),
        Middleware(BodyLimit, **limits),
        *inner,
    ]
    app = Starlette(routes=routes, middleware=layers, exception_handlers=EXCEPTION_HANDLERS)
    app.router.redirect_slashes = False
    return app


def client(app: ASGIApp, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(peer, 40000))
    return httpx.AsyncClient(transport=transport, base_url="http://voxforge.test")


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, **config: Any) -> AsyncIterator[int]:
    """Serve the application with uvicorn on a port of the loopback address, `port` or a free one, which is yielded."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", config.get("port", 0)))
    server = _Server(
        uvicorn.Config(app, log_config=None, lifespan="off", proxy_headers=False, access_log=False, **config)
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 (uvicorn has no event to wait for)
        await asyncio.sleep(0.005)
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await task
        listener.close()
