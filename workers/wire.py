"""What a receiver may send us before its connection is given up: aiohttp bounds the lines of an answer, not their sum.

Interim answers (103 Early Hints, without end), headers, chunk extensions and answers that nobody asked for would be
parsed as fast as they come, and kept. Here all of it is counted, and taken in small pieces, so that what a piece can
be made into stays small.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

HEAD_BYTES = 64 * 1024
"""Of status lines and headers, interim ones included; common servers stop at 8 to 32 KiB."""
WIRE_BYTES = 1280 * 1024
"""Of a whole answer with its framing: a quarter more than is read of a body."""
_PIECE = 4 * 1024


class EndlessHead(aiohttp.ClientError):
    """The headers went on past `HEAD_BYTES`."""


class EndlessAnswer(aiohttp.ClientError):
    """The answer went on past what is read of it."""


class Receiving(ResponseHandler):
    """One connection; the counts begin anew with each request."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._head_taken = self._taken = 0
        self._is_in_head = True
        self._verdict: aiohttp.ClientError | None = None

    def set_response_params(self, **given: Any) -> None:
        """A request is about to be sent."""
        self._head_taken = self._taken = 0
        self._is_in_head = True
        super().set_response_params(**given)

    def data_received(self, data: bytes) -> None:
        """Parse in pieces, as long as the answer stays within its bounds."""
        for start in range(0, len(data) or 1, _PIECE):  # one piece of nothing resumes what was paused
            if self._verdict is not None:
                return
            piece = data[start : start + _PIECE]
            self._taken += len(piece)
            self._head_taken += len(piece) if self._is_in_head else 0
            super().data_received(piece)
            if self._is_in_head and self._head_taken > HEAD_BYTES:
                self._give_up(EndlessHead())
            elif self._taken > WIRE_BYTES:
                self._give_up(EndlessAnswer())

    def feed_data(self, data: Any, size: int = 0) -> None:
        """A head has been parsed: interim ones say nothing, and a second answer is none of ours."""
        status = data[0].code
        if status < 200 and status != 101:
            return
        if not self._is_in_head:
            self._should_close = True
            return
        self._is_in_head = False
        super().feed_data(data, size)

    def set_exception(self, exc: Any, *cause: Any) -> None:
        """Why we gave up counts, not that the connection is closed because of it."""
        super().set_exception(self._verdict or exc, *cause)

    def _give_up(self, verdict: aiohttp.ClientError) -> None:
        self._verdict = verdict
        payload = self._payload
        if payload is not None:
            payload.set_exception(verdict)
        self.set_exception(verdict)
        if self.transport is not None:
            self.transport.abort()


class Connector(aiohttp.TCPConnector):
    """Whose connections are `Receiving`; there is no public way to say so, and a test fails when this one is gone."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._factory = partial(Receiving, loop=self._loop)  # type: ignore[assignment]
