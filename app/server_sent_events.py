"""Answers without an end, as server-sent events: how many there may be, and what ends them.

A stream ends when the caller leaves or does not read, soon after the credentials that opened it (`Guard`), and when
the server stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, aclosing
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.http_protocol import ABORT, ON_STOP
from app.websocket.guarding import Guard
from app.websocket.places import Places
from schema.errors import DomainError
from schema.runtime import Runtime, Viewer

log = structlog.get_logger("voxforge.streams")

HEARTBEAT_S = 15.0
"""Seconds of silence after which a comment says that the stream is alive; a caller who has left is noticed then."""
SLOW_S = 30.0
"""How long a caller may take to read what is sent."""
_FINISH_S = 2.0
OF_PROCESS = 1_000
HEARTBEAT = b":\n\n"
"""A comment, which nobody is told of."""
_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events until it has some kilobytes of them
)


def event(data: bytes, *, type: str | None = None, id: str | None = None) -> bytes:
    """One event as it is written; `data` has no line breaks, as JSON without indentation has none."""
    lines = [b"id: " + id.encode()] if id is not None else []
    lines += [b"event: " + type.encode()] if type is not None else []
    return b"\n".join([*lines, b"data: " + data, b"", b""])


def head() -> Response:
    """What HEAD is answered where GET is a stream."""
    response = Response()
    response.raw_headers = [*_HEADERS]
    return response


class Streams:
    """What all streams of one kind have in common, in this process."""

    def __init__(self, runtime: Runtime, what: str, of_caller: int) -> None:
        self.runtime = runtime
        self.guard = Guard(runtime)
        self._places = Places(what)
        self._of_caller = of_caller

    def take_place(self, viewer: Viewer, until: ExitStack) -> None:
        """One of those that a key or person may have. Raises RateLimited."""
        name = f"of an API key:{viewer.key_id}" if viewer.user_id is None else f"of a person:{viewer.user_id}"
        until.enter_context(self._places.one_of("of a server process", OF_PROCESS))
        until.enter_context(self._places.one_of(name, self._of_caller))


class EventStream:
    """An answer, for Starlette: `parts` are sent as they come, and closed with the stream.

    The first part is waited for before the answer begins; until then whatever `parts` raises is answered as everywhere.
    """

    def __init__(self, streams: Streams, viewer: Viewer, parts: AsyncGenerator[bytes, None]) -> None:
        self._streams = streams
        self._viewer = viewer
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises DomainError before the answer has begun."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def end(_why: DomainError | None = None) -> None:
            if not ended.done():
                ended.set_result(None)

        async with aclosing(self._parts):
            with ExitStack() as until:
                self._streams.take_place(self._viewer, until)
                until.enter_context(self._streams.guard.over(self._viewer, end))
                scope["state"].get(ON_STOP, _ignore)(end)
                first = await anext(self._parts)
                await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
                await self._until_it_ends(first, ended, receive, _Sending(send, scope["state"].get(ABORT)))

    async def _until_it_ends(
        self, first: bytes, ended: asyncio.Future[None], receive: Receive, sending: _Sending
    ) -> None:
        telling = asyncio.create_task(self._tell(first, sending), name="event stream")
        leaving = asyncio.create_task(_until_they_leave(receive), name="event stream's reader")
        try:
            first_of: set[asyncio.Future[Any]] = {telling, leaving, ended}
            await asyncio.wait(first_of, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (telling, leaving):
                task.cancel()
            await asyncio.wait({telling, leaving})
        if not telling.cancelled() and (crash := telling.exception()) is not None:
            raise crash
        if leaving.cancelled():
            await sending.finish()

    async def _tell(self, first: bytes, sending: _Sending) -> None:
        await sending.send(first)
        while not sending.is_slow:
            coming = asyncio.ensure_future(anext(self._parts, None))
            try:
                while not await self._is_there(coming):
                    await sending.send(HEARTBEAT)
            finally:
                coming.cancel()
                await asyncio.wait({coming})
            part = coming.result()
            if part is None:
                return
            await sending.send(part)

    async def _is_there(self, coming: asyncio.Future[bytes | None]) -> bool:
        """Whether it has come before it was time to say that we are still here."""
        beat = asyncio.ensure_future(self._streams.runtime.clock.sleep(HEARTBEAT_S))
        try:
            either: set[asyncio.Future[Any]] = {coming, beat}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            beat.cancel()
        return coming.done()


class _Sending:
    """The way to the caller, who must read."""

    def __init__(self, send: Send, abort: Callable[[], None] | None) -> None:
        self._send = send
        self._abort = abort
        self.is_slow = False

    async def send(self, part: bytes) -> None:
        """Wait until there is room for more."""
        await self._within(SLOW_S, part, more=True)

    async def finish(self) -> None:
        """There is nothing more."""
        await self._within(_FINISH_S, b"", more=False)

    async def _within(self, seconds: float, part: bytes, *, more: bool) -> None:
        if self.is_slow:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._send({"type": "http.response.body", "body": part, "more_body": more})
        except TimeoutError:
            self.is_slow = True
            log.info("a stream was not read and has been cut off", seconds=seconds)
            if self._abort is not None:
                self._abort()


async def _until_they_leave(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _ignore(_end: Callable[[], None]) -> None:
    """For servers that do not say when they stop."""
