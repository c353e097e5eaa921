"""uvicorn's HTTP/1.1, for callers who mean harm: what it holds of a request is bounded, and so is how long it waits.

What it refuses itself is in the envelope, too (decisions E1, E2, R11).
"""

from __future__ import annotations

import asyncio
import secrets
from asyncio import TimerHandle
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.body_limit import MIB
from app.connections import Connections
from app.graphql import PATH
from app.responses import STATUS, error_response
from app.websocket.server_protocol import WebSocketProtocol, is_handshake
from schema.errors import ErrorCode, RateLimited

ABORT = "abort_connection"
"""In a request's `state`: ends its connection, without waiting for the caller to read."""
ON_STOP = "on_stop"
"""In a request's `state`: takes what an answer without an end wants called when the server stops."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may have us hold, and for how many seconds it may keep us waiting. Answers have no limit."""

    head_bytes: int = 32 * 1024
    """Of its target and its headers, trailers among them."""
    head_s: float = 15.0
    """From the connection, or the first byte of a later request, to the end of the headers."""
    stall_s: float = 20.0
    """Between two parts of a body."""
    body_s: float = 60.0
    """For each MiB of a body."""
    linger_s: float = 2.0
    """For the caller to take a refusal and to leave."""


class _Part(Enum):
    """What of a request is being received."""

    HEAD = "headers"
    BODY = "body"


class _TooLong(Exception):
    """Raised into the parser, which stops."""


class HttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=HttpProtocol)`; `partial` gives it the arguments that have names."""

    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # None before the first request

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits = Limits(),
        connections: Connections | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._admission = connections
        self._place = ExitStack()
        self._end: Callable[[], None] | None = None
        self._part: _Part | None = None
        self._head_bytes = 0
        self._body_bytes = 0
        self._body_began: float | None = None
        self._got_on = False  # whether the parser has found the end of something, or a piece of a body
        self._unfinished_bytes = 0  # since it last did
        self._late_at: float | None = None
        self._timer: TimerHandle | None = None
        self._timer_at = 0.0
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """One too many is told so, and closed at once."""
        super().connection_made(transport)
        if self._admission is not None:
            try:
                self._place = self._admission.admit(self.client[0] if self.client else None)
            except RateLimited as error:
                self._refused = True
                headers = {"Retry-After": str(error.retry_after_s)}
                self._answer(STATUS[error.code], error.code, error.message, headers)
                transport.close()
                return
        self._expect_until(self.loop.time() + self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free its place, and forget the timers."""
        self._place.close()
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """What comes after a refusal is thrown away."""
        if self._refused:
            return
        self._got_on = False
        super().data_received(data)
        if self._is_over():
            return
        self._unfinished_bytes = 0 if self._got_on else self._unfinished_bytes + len(data)
        if self._unfinished_bytes > self._limits.head_bytes:
            self._refuse_length()
            return
        self._expect_more()

    def on_message_begin(self) -> None:
        """A new request."""
        super().on_message_begin()
        self._part = _Part.HEAD
        self._head_bytes = 0
        self.scope["state"] |= {ABORT: self.transport.abort, ON_STOP: self._call_on_stop}

    def on_url(self, url: bytes) -> None:
        """A piece of it."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer of a body in chunks."""
        self._count(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request is known, and begins to be answered."""
        super().on_headers_complete()
        self._part = _Part.BODY
        self._got_on = True
        self._body_bytes = 0
        self._body_began = None

    def on_body(self, body: bytes) -> None:
        """A piece of it; what nobody wants any more earns no time."""
        self._got_on = True
        if self._is_answering():
            self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of the request is here."""
        self._part = None
        self._got_on = True
        super().on_message_complete()

    def shutdown(self) -> None:
        """The server stops: an answer that would go on ends now, and nobody waits for it."""
        super().shutdown()
        if self._refused:
            self.transport.abort()
        if self._end is not None:
            self._end()

    def _call_on_stop(self, end: Callable[[], None]) -> None:
        self._end = end

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: the request's own log line says what was answered, and no library is missing."""

    def _should_upgrade(self) -> bool:
        """To a WebSocket at its one address; any other request to upgrade is answered like a request."""
        at_address = self.url.partition(b"?")[0] == PATH.encode() and self.scope["method"] == "GET"
        return at_address and super()._should_upgrade() and is_handshake(self.headers)

    def handle_websocket_upgrade(self) -> None:
        """The connection, and its place, are the WebSocket's from now on."""
        self._stop_timer()
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, WebSocketProtocol):
            protocol.on_lost = self._place.close

    def send_400_response(self, msg: str) -> None:
        if self._head_bytes > self._limits.head_bytes:
            self._refuse_length()
        else:
            self._refuse(400, "The request is not valid HTTP")

    def _is_over(self) -> bool:
        return self._refused or self.transport.get_protocol() is not self

    def _count(self, length: int) -> None:
        self._head_bytes += length
        if self._head_bytes > self._limits.head_bytes:
            raise _TooLong

    def _expect_more(self) -> None:
        """How long the rest of the request has, if there is a rest."""
        if self._part is _Part.BODY:
            now = self.loop.time()
            if self._body_began is None:
                self._body_began = now
            in_all = self._limits.body_s * (1 + self._body_bytes // MIB)
            self._expect_until(min(now + self._limits.stall_s, self._body_began + in_all))
        elif self._got_on and self._part is None:
            self._late_at = None
        elif self._got_on or self._late_at is None:
            self._expect_until(self.loop.time() + self._limits.head_s)

    def _expect_until(self, late_at: float) -> None:
        """The timer is left as it is while it fires early enough: it looks again."""
        self._late_at = late_at
        if self._timer is None or self._timer_at > late_at:
            self._stop_timer()
            self._timer_at = late_at
            self._timer = self.loop.call_at(late_at, self._look)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._late_at is None or self.transport.is_closing():
            return
        now = self.loop.time()
        if now < self._late_at:
            self._expect_until(self._late_at)
        elif self._is_waiting_for_us():
            self._body_began = now
            self._expect_until(now + self._limits.stall_s)
        elif self._part is None:
            self._refused = True
            self.transport.close()
        else:
            self._refuse(408, f"The request's {self._part.value} did not arrive in time")

    def _is_waiting_for_us(self) -> bool:
        """Whether it is no fault of the caller's that nothing comes, or is not looked at."""
        if self.flow.read_paused:
            return True
        if self._part is _Part.BODY:
            return self.cycle is not None and self.cycle.waiting_for_100_continue
        return self._is_answering()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _may_answer(self) -> bool:
        """Whether the next that the caller reads would be our answer to what is refused."""
        if self._part is _Part.BODY:
            return not self.pipeline and (self.cycle is None or not self.cycle.response_started)
        return not self._is_answering()

    def _refuse_length(self) -> None:
        kib = self._limits.head_bytes / 1024
        self._refuse(431, f"The request's address and headers are longer than {kib:g} KiB")

    def _refuse(self, status: int, message: str) -> None:
        """Answer, if it can be told from other answers, and close: soon, so that it can be read by who still sends."""
        self._refused = True
        self._stop_timer()
        self._unset_keepalive_if_required()
        if self._may_answer():
            self._answer(status, ErrorCode.BAD_REQUEST, message, {})
            self.transport.write_eof()
            self.flow.resume_reading()  # until the caller leaves
        else:
            self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.waiting_for_100_continue = False
            self.cycle.message_event.set()
        self.loop.call_later(self._limits.linger_s, self.transport.abort)

    def _answer(self, status: int, code: ErrorCode, message: str, headers: dict[str, str]) -> None:
        headers |= {"Connection": "close", "X-Request-Id": secrets.token_hex(16)}
        response = error_response(status, code, message, headers)
        lines = [STATUS_LINE[status], *(b"%s: %s\r\n" % header for header in response.raw_headers), b"\r\n"]
        self.transport.write(b"".join(lines) + bytes(cast("bytes", response.body)))
