"""uvicorn's WebSocket, for callers who mean harm: what it holds of a connection is bounded, and so is how long.

`OPTIONS` are for `uvicorn.Config`. Requests to upgrade anything but `/graphql` stay HTTP (`app.http_protocol`).
"""

from __future__ import annotations

import asyncio
import binascii
import secrets
from asyncio import TimerHandle
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request, Response

from app.body_limit import MIB
from app.responses import error_response
from schema.errors import ErrorCode

MAX_FRAGMENTS = 1_000
"""Of one message."""
CLOSE_S = 2.0
"""How long the other side has to take what was sent last, once a connection has ended."""


def is_handshake(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a request to upgrade can be answered with 101, as far as its key and version go (RFC 6455, 4.2.1)."""
    keys = [value for name, value in headers if name == b"sec-websocket-key"]
    versions = [value.strip() for name, value in headers if name == b"sec-websocket-version"]
    try:
        return versions == [b"13"] and len(keys) == 1 and len(b64decode(keys[0].strip(), validate=True)) == 16
    except binascii.Error:
        return False


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """For `uvicorn.Config(ws=WebSocketProtocol)`."""

    on_lost: Callable[[], None] | None = None
    """Called when the connection is gone."""
    _ending: TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer as well."""
        if self.on_lost is not None:
            self.on_lost()
        if self._ending is not None:
            self._ending.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A handshake that HTTP took and this parser does not, such as one with 200 headers, is refused, too."""
        if self.handshake_initiated:
            super().data_received(data)
            return
        self.conn.receive_data(data)
        self.handle_events()
        if not self.handshake_initiated:
            self._refuse(400, ErrorCode.BAD_REQUEST, "The WebSocket handshake is not valid")

    def handle_connect(self, event: Request) -> None:
        """No extension is spoken here: messages that unfold are no use to anybody who is honest."""
        if "Sec-WebSocket-Extensions" in event.headers:
            del event.headers["Sec-WebSocket-Extensions"]
        super().handle_connect(event)

    async def send(self, message: ASGISendEvent) -> None:
        """A handshake that was refused in HTTP is over, too: it is no error of ours, which uvicorn would log."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    def handle_cont(self, event: Frame) -> None:
        """A message in endless small pieces is as large as a large one."""
        if len(self.frames) >= MAX_FRAGMENTS and not self.close_sent:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, "The message has too many fragments")
            self.handle_parser_exception()
        if not self.close_sent:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Whoever pings and does not read the pongs would have us keep them all."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """What the other side has not read by now it never will."""
        super().keepalive_timeout()
        self.transport.abort()

    def send_500_response(self) -> None:
        """In the envelope."""
        if self.initial_response is None and not self.handshake_complete:
            self._refuse(500, ErrorCode.INTERNAL_ERROR, "Something went wrong on our end")

    def shutdown(self) -> None:
        """The server stops: 1001, "going away", after which clients connect again."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1001})
        self.conn.send_close(CloseCode.GOING_AWAY, "The server is stopping")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Nobody serves the connection any more: it ends, read or unread."""
        super().on_task_complete(task)
        self._ending = self.loop.call_later(CLOSE_S, self.transport.abort)

    def _refuse(self, status: int, code: ErrorCode, message: str) -> None:
        answer = error_response(status, code, message, {"Connection": "close", "X-Request-Id": secrets.token_hex(16)})
        headers = Headers([(name.decode(), value.decode()) for name, value in answer.raw_headers])
        self.handshake_complete = True
        self.close_sent = True
        response = Response(status, HTTPStatus(status).phrase, headers, bytes(answer.body))
        self.transport.write(response.serialize())
        self.transport.close()


OPTIONS: Mapping[str, Any] = {
    "ws": WebSocketProtocol,
    "ws_max_size": MIB,  # as a body (decision E6); a longer frame is refused by its header
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
    "ws_per_message_deflate": False,
}
