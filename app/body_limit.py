"""Bodies that are too large are refused without being read to the end (decision E6)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.responses import error_response
from schema.errors import ErrorCode

MIB = 1024 * 1024
_LINGER_BYTES = 16 * MIB


class _TooLarge(Exception):
    """Raised out of `receive`, through whatever is reading the body."""


class _Body:
    """The `receive` and `send` of one request, with a limit of bytes."""

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._seen = 0
        self._begun = False

    @property
    def must_be_refused(self) -> bool:
        return self._seen > self._limit and not self._begun

    async def receive(self) -> Message:
        if self._seen > self._limit:
            raise _TooLarge
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._limit:
            raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        if self.must_be_refused:
            return
        if message["type"] == "http.response.start":
            self._begun = True
        await self._send(message)


class BodyLimit:
    """ASGI layer that answers 413: at once when `Content-Length` says so, else when that many bytes have come.

    `limit` and the values of `larger` (by exact path) are bytes. After a 413 the connection closes; so that the closing
    does not take the answer away from a caller who is still sending, up to 16 MiB more are read and thrown away first,
    for at most `linger_s` seconds.
    """

    def __init__(
        self, app: ASGIApp, limit: int = MIB, larger: Mapping[str, int] | None = None, linger_s: float = 2.0
    ) -> None:
        self._app = app
        self._limit = limit
        self._larger = larger or {}
        self._linger_s = linger_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"].removeprefix(scope.get("root_path", "")), self._limit)
        if _declared(scope) > limit:
            await self._refuse(scope, receive, send, limit)
            return

        body = _Body(receive, send, limit)
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            if not body.must_be_refused:
                raise
        if body.must_be_refused:  # whatever the reader made of _TooLarge
            await self._refuse(scope, receive, send, limit)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        message = f"The request body is larger than {limit / MIB:g} MiB"
        response = error_response(413, ErrorCode.BAD_REQUEST, message, {"Connection": "close"})
        await send({"type": "http.response.start", "status": 413, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        if not any(name == b"expect" for name, _ in scope["headers"]):  # such a caller sends nothing more
            with suppress(TimeoutError):
                async with asyncio.timeout(self._linger_s):
                    await _discard(receive)
        await send({"type": "http.response.body", "body": b""})


class CloseUnread:
    """ASGI layer that closes the connection after an answer to a body of unknown length that has not all come.

    Otherwise whoever was refused early (401, 404, 429) could go on sending for ever. Outside all that answers early.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or all(name != b"transfer-encoding" for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        unread = True

        async def watch_body() -> Message:
            nonlocal unread
            message = await receive()
            unread = message.get("more_body", False)
            return message

        async def close(message: Message) -> None:
            if unread and message["type"] == "http.response.start":
                kept = [header for header in message.get("headers", ()) if header[0].lower() != b"connection"]
                message = {**message, "headers": [*kept, (b"connection", b"close")]}
            await send(message)

        await self._app(scope, watch_body, close)


def _declared(scope: Scope) -> int:
    text = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if not text.isdigit():
        return 0
    return int(text) if len(text) < 20 else sys.maxsize


async def _discard(receive: Receive) -> None:
    seen = 0
    while seen < _LINGER_BYTES:
        message = await receive()
        seen += len(message.get("body", b""))
        if not message.get("more_body", False):
            return
