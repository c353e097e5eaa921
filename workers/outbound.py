"""The HTTP client of deliveries: one deadline, no redirects, and connections only to addresses that are allowed.

What it promises (decisions W4, W6, W7, W8):

- An attempt has one deadline, from the call to the last byte of the answer. A receiver that drips its body fails then.
- The address that is connected to is the address that was checked: the check sits where the socket is made.
- Redirects, cookies, proxies of the environment and compressed answers play no part.
- An answer is read to its end, because W4 counts the body, but only `EXCERPT_BYTES` of it are kept. One that is still
  coming after `READ_BYTES` is given up as if it had not ended in time; of a failure's answer only the excerpt is read.
  What else a receiver can send without end is bounded in `workers.wire`.
- A name server that never answers holds a thread of its own, not one that others wait for (`workers.lookups`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Self
from weakref import WeakSet

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from schema.errors import Invalid
from schema.rules.addresses import Network, check_url, may_connect
from schema.rules.webhooks import ErrorClass, is_success
from workers.lookups import Blocked, Lookup, Lookups, Resolver, asking, system_lookup
from workers.wire import HEAD_BYTES, Connector, EndlessAnswer, EndlessHead

EXCERPT_BYTES = 16 * 1024
READ_BYTES = 1024 * 1024

_UNREAD_BYTES = 16 * 1024  # twice of it may wait to be read before the receiver must

# Node and uvicorn close idle connections after 5 s; we stop using ours earlier, or a request would meet the close.
_KEEP_ALIVE_S = 4.0
# With this many sockets open, further connections are closed after one request: idle ones must not use up descriptors.
_KEPT_SOCKETS = 256
_LARGE_BODY = 256 * 1024
_PIECE = 64 * 1024
_MOMENT_S = 0.005  # after which it is looked again whether a request is wanted, before anything is sent


@dataclass(frozen=True, slots=True)
class Answer:
    """How one attempt ended: with a status, or with an error class and a sentence for the attempt log.

    `body_excerpt` is what was read of the body, at most `EXCERPT_BYTES`; `truncated` says that there was more.
    `duration_ms` counts real time from the call to the verdict.
    """

    status: int | None
    error_class: ErrorClass | None
    error_text: str | None
    body_excerpt: bytes
    truncated: bool
    duration_ms: int

    @property
    def is_success(self) -> bool:
        """A 2xx that came whole and in time (W4)."""
        return is_success(self.status)


class Withdrawn(Exception):
    """What was to be sent is not wanted any more, or not as it was: nothing has been sent."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What the connector must know of the request that it works for."""

    started: float
    may_go: Callable[[], Awaitable[bool]]

    async def look_again(self) -> None:
        if time.monotonic() - self.started <= _MOMENT_S:
            return
        try:
            is_wanted = await self.may_go()
        except Exception as error:  # whatever kept us from looking, it is not the receiver's failure
            raise Withdrawn from error
        if not is_wanted:
            raise Withdrawn


_attempt: ContextVar[_Attempt] = ContextVar("attempt")


async def _always() -> bool:
    return True


class Outbound:
    """One client for all deliveries of an event loop; make it anywhere, use and close it on that loop.

    `timeout_s` is for a whole attempt. `allow_networks` and `allow_http` are the development settings of W6.
    How many requests are under way, in all and for each endpoint, is the caller's to limit.
    `ssl_context` and `lookup` replace the system's certificates and resolver.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 10.0,
        allow_networks: Sequence[Network] = (),
        allow_http: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._timeout_s = timeout_s
        self._allow_networks = tuple(allow_networks)
        self._allow_http = allow_http
        self._ssl = ssl_context
        self._lookups = Lookups(lookup)
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._keeping: aiohttp.ClientSession | None = None
        self._closing: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop idle connections; requests under way fail. A later `post` starts anew."""
        keeping, closing, self._keeping, self._closing = self._keeping, self._closing, None, None
        for session in (keeping, closing):
            if session is not None:
                await session.close()

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        owner: str = "",
        may_go: Callable[[], Awaitable[bool]] = _always,
    ) -> Answer:
        """One attempt. Raises nothing for what the receiver, its name or its network does; lets cancellation pass.

        `owner` is for whom a name is looked up. When it took longer than a moment to get a connection, `may_go` is
        asked before the first byte is sent on it; Withdrawn is raised when it says no, or fails.
        """
        started = time.monotonic()
        asking.set(owner)
        _attempt.set(_Attempt(started, may_go))

        def failed(error_class: ErrorClass, text: str) -> Answer:
            return Answer(None, error_class, text, b"", False, _milliseconds_since(started))

        try:
            target = check_url(url, allow_http=self._allow_http, allow_networks=self._allow_networks)
        except Invalid as refusal:
            return failed(ErrorClass.BLOCKED, refusal.message)
        try:
            async with asyncio.timeout(self._timeout_s):
                status, excerpt, truncated = await self._exchange(URL(target, encoded=True), body, headers)
        except TimeoutError:
            return failed(ErrorClass.TIMEOUT, f"no complete answer within {self._timeout_s:g} s")
        except EndlessAnswer:
            return failed(ErrorClass.TIMEOUT, f"the answer did not end within {READ_BYTES >> 20} MiB")
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as failure:
            # RuntimeError is uvloop's word for some failures of sockets, and Python's for a thread that cannot start.
            return failed(*_explain(failure))
        return Answer(status, None, None, excerpt, truncated, _milliseconds_since(started))

    async def _exchange(self, url: URL, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, bool]:
        # As bytes, a large body is written in one go: of one that the receiver does not read, a copy would be kept.
        data = body if len(body) < _LARGE_BODY else _pieces(body)
        own = {"Accept-Encoding": "identity", "Content-Length": str(len(body))}
        request = self._session().post(url, data=data, headers={**own, **headers}, allow_redirects=False)
        async with request as response:
            excerpt, read = bytearray(), 0
            async for chunk in response.content.iter_any():
                read += len(chunk)
                excerpt += chunk[: EXCERPT_BYTES - len(excerpt)]
                if read > EXCERPT_BYTES and not is_success(response.status):
                    response.close()
                    break
                if read > READ_BYTES:
                    response.close()
                    raise EndlessAnswer
            return response.status, bytes(excerpt), read > EXCERPT_BYTES

    def _session(self) -> aiohttp.ClientSession:
        """The session whose connections are kept for the next request or, with many sockets open, the other."""
        if len(self._sockets) < _KEPT_SOCKETS:
            self._keeping = self._keeping or self._new_session(keep=True)
            return self._keeping
        self._closing = self._closing or self._new_session(keep=False)
        return self._closing

    def _new_session(self, *, keep: bool) -> aiohttp.ClientSession:
        reuse: dict[str, Any] = {"keepalive_timeout": _KEEP_ALIVE_S} if keep else {"force_close": True}
        connector = _Connector(
            limit=0,
            ssl=self._ssl or True,
            resolver=Resolver(self._lookups, self._allow_networks),
            socket_factory=self._make_socket,
            **reuse,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),  # none: `post` has one deadline, which aiohttp's rounding up would stretch
            auto_decompress=False,
            read_bufsize=_UNREAD_BYTES,
            trust_env=False,
        )

    def _make_socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        """The only way to a connection, whatever named the address: a literal, a name, a name that changed its mind."""
        family, kind, protocol, _, address = address_info
        if not may_connect(ip_address(address[0]), self._allow_networks):
            raise Blocked
        made = socket.socket(family, kind, protocol)
        self._sockets.add(made)
        return made


class _Connector(Connector):
    """Looks once more whether the request is wanted when there is a connection to send it on."""

    async def connect(self, *given: Any, **named: Any) -> Connection:
        connection = await super().connect(*given, **named)
        try:
            await _attempt.get().look_again()
        except BaseException:
            connection.close()
            raise
        return connection


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


def _explain(failure: Exception) -> tuple[ErrorClass, str]:
    """The class and a sentence of our own: an exception's text may hold addresses, headers or objects of Python's."""
    match failure:
        case aiohttp.ClientConnectorError(os_error=Blocked()):
            return ErrorClass.BLOCKED, f"{failure.host} has no address that deliveries may reach"
        case aiohttp.ClientConnectorDNSError():
            return ErrorClass.DNS, f"{failure.host} could not be resolved"
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as refused):
            return ErrorClass.TLS, f"TLS failed: {refused.verify_message}"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            reason = getattr(failure, "reason", None) or getattr(getattr(failure, "os_error", None), "reason", None)
            return ErrorClass.TLS, f"TLS failed: {(reason or 'handshake failure').replace('_', ' ').lower()}"
        case EndlessHead():
            return ErrorClass.CONNECT, f"the headers of the answer did not end within {HEAD_BYTES >> 10} KiB"
        case aiohttp.ClientResponseError():
            return ErrorClass.CONNECT, "the answer is not HTTP"
        case aiohttp.ClientPayloadError():
            return ErrorClass.CONNECT, "the connection was closed before the answer ended"
        case aiohttp.ServerDisconnectedError():
            return ErrorClass.CONNECT, "the connection was closed before an answer"
        case OSError(errno=int(number)):
            return ErrorClass.CONNECT, os.strerror(number).lower()
        case _:
            return ErrorClass.CONNECT, "the connection failed"


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
