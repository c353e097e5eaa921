"""Running the server: uvicorn around the application, with workers in the same process or without."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import structlog
import uvicorn
import uvloop

from app import logs
from app.backlog import backlog_metrics, queue_check
from app.collecting import spare_loaded
from app.connections import Connections, most_connections
from app.failure import Failure
from app.http_protocol import HttpProtocol
from app.stopping import REQUESTS_GRACE_S, WORK_GRACE_S, Stopping
from app.supervisor import FAILED_TO_START
from app.websocket.server_protocol import OPTIONS as WEBSOCKET
from app.working import Unit, bell_of, open_unit
from schema.runtime import Runtime
from schema.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = structlog.get_logger("voxforge.serve")


class CannotStart(Failure):
    """The application refused to start; the log says why."""


class Server(uvicorn.Server):
    """uvicorn, stopped by our own signals, and stopping the workers while it answers what is under way."""

    def __init__(
        self, config: uvicorn.Config, stopping: Stopping, unit: Unit | None, ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._unit = unit
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            spare_loaded()
            self._ready()

    async def on_tick(self, counter: int) -> bool:
        self.should_exit = self.should_exit or self._stopping.asked
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("stopping")
        await asyncio.gather(super().shutdown(sockets), self.stop_work())

    async def stop_work(self) -> None:
        """Stop the workers, if there are any and they have not been stopped."""
        unit, self._unit = self._unit, None
        if unit is not None:
            await asyncio.to_thread(unit.stop, WORK_GRACE_S)


def serve(
    settings: Settings,
    listener: socket.socket,
    stopping: Stopping,
    *,
    with_workers: bool,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until asked to stop; `ready` is called when the first request can be answered. Raises CannotStart."""
    if stopping.asked:
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(settings, listener, stopping, with_workers=with_workers, ready=ready))
        except SystemExit:  # uvicorn's, when the application's own start fails
            raise CannotStart("The server could not start; the log above says why") from None


async def _serve(
    settings: Settings,
    listener: socket.socket,
    stopping: Stopping,
    *,
    with_workers: bool,
    ready: Callable[[], None],
) -> None:
    from app.main import create_app  # noqa: PLC0415 (the application is loaded by the process that serves it)

    bell = bell_of(settings)
    runtime = Runtime.open(settings, bell=bell)
    try:
        app = create_app(runtime, metrics=backlog_metrics(runtime), checks={"queue": queue_check(runtime)})
        unit = open_unit(settings, bell) if with_workers else None
        connections = Connections(settings.trusted_proxies, most_connections(with_workers=with_workers))
        server = Server(_configured(app, connections), stopping, unit, ready)
        if unit is not None:
            unit.start()
        try:
            await server.serve([listener])
        finally:
            await server.stop_work()
    finally:
        await runtime.close()
        bell.close()


def _configured(app: ASGIApp, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(HttpProtocol, connections=connections),  # type: ignore[arg-type]  # as good as a class
        **WEBSOCKET,
        lifespan="on",
        log_config=None,
        log_level="warning",  # we say ourselves that we start and stop
        access_log=False,
        proxy_headers=False,  # whom to believe is our own to decide
        server_header=False,
        timeout_graceful_shutdown=REQUESTS_GRACE_S,
    )


def serve_process(ready: Connection, settings: Settings, listener: socket.socket) -> None:
    """What each process of `voxforge serve --workers N` does."""
    logs.configure(settings.log_format)
    stopping = Stopping()
    stopping.follow_parent()
    try:
        serve(settings, listener, stopping, with_workers=False, ready=lambda: ready.send(None))
    except Exception as error:
        log.exception("cannot serve", error=str(error))
        raise SystemExit(FAILED_TO_START) from None
