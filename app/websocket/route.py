"""The handshake at `/graphql`: who may open a connection at all. What it refuses HTTP says, in the envelope."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from app import session_cookie
from app.addresses import client_of, rate_limit_key
from app.auth import Authenticator, Caller, authorizations
from app.graphql import PATH
from app.rate_limit import RateLimiter
from app.websocket.connection import PROTOCOL, Connection
from app.websocket.guarding import Guard
from app.websocket.places import OF_CALLER, OF_PROCESS, STRANGERS, STRANGERS_OF_ADDRESS, Places
from schema.errors import Forbidden, Invalid
from schema.runtime import Runtime, Viewer

_DENIAL = "websocket.http.response"
FOREIGN = "A WebSocket may be opened by programs, and by pages of this server: its Origin is another site's"


def websocket_routes(runtime: Runtime, limiter: RateLimiter) -> list[WebSocketRoute]:
    """The route; it authenticates by itself, for a browser's WebSocket cannot send a header."""
    return [WebSocketRoute(PATH, _Entrance(runtime, limiter).open)]


@dataclass(frozen=True, slots=True)
class _Credentials:
    """What a connection was opened with: values of `Authorization`, or a session's token."""

    authorization: Sequence[str]
    session: str | None


class _Entrance:
    """What all connections of this process have in common."""

    def __init__(self, runtime: Runtime, limiter: RateLimiter) -> None:
        self.runtime = runtime
        self.limiter = limiter
        self.authenticator = Authenticator(runtime, limiter, runtime.settings.trusted_proxies)
        self.places = Places()
        self.guard = Guard(runtime)

    async def open(self, socket: WebSocket) -> None:
        """Serve one connection until it ends. Raises Invalid, Forbidden, Unauthenticated, RateLimited before it is."""
        scope = socket.scope
        if scope["query_string"]:
            raise Invalid("/graphql takes no query parameters: send the key in a header or in connection_init")
        if "origin" in socket.headers and not session_cookie.is_from_here(scope, self.runtime.settings):
            raise Forbidden(FOREIGN)
        if PROTOCOL not in scope["subprotocols"]:
            if _DENIAL in scope.get("extensions", {}):
                raise Invalid(f"The WebSocket sub-protocol must be {PROTOCOL}")
            await socket.accept()
            await socket.close(4406, "Subprotocol not acceptable")
            return
        with ExitStack() as places:
            places.enter_context(self.places.one_of("of a server process", OF_PROCESS))
            visitor = _Visitor(self, socket, places)
            await visitor.arrive()
            await socket.accept(PROTOCOL)
            await visitor.connection.serve()


class _Visitor:
    """Whoever opens a connection, from the handshake until they are known, and later."""

    def __init__(self, entrance: _Entrance, socket: WebSocket, places: ExitStack) -> None:
        self._at = entrance
        self._socket = socket
        self._places = places
        self._strange = places.enter_context(ExitStack())
        self._credentials: _Credentials | None = None
        self.connection = Connection(socket, entrance.runtime.clock, sign_in=self.sign_in, caller=self.caller)

    async def arrive(self) -> None:
        """Believe the header, if there is one, or take a place of those who have yet to say who they are.

        Raises Unauthenticated, Forbidden, RateLimited.
        """
        header = authorizations(self._socket.scope)
        if header:
            await self._let_in(_Credentials(header, None))
            return
        address = rate_limit_key(client_of(self._socket.scope, self._at.runtime.settings.trusted_proxies))
        self._strange.enter_context(self._at.places.one_of("that have not signed in", STRANGERS))
        of_address = f"from one address that have not signed in:{address}"
        self._strange.enter_context(self._at.places.one_of(of_address, STRANGERS_OF_ADDRESS))

    async def sign_in(self, given: Sequence[str]) -> None:
        """By what `connection_init` says, or else the browser's session; a header has been believed already."""
        if self._credentials is None:
            token = None if given else session_cookie.token(self._socket.scope, self._at.runtime.settings)
            await self._let_in(_Credentials(given, token))
            self._strange.close()

    async def caller(self) -> Caller:
        """Who they are now, for one operation. Raises Unauthenticated, Forbidden, RateLimited."""
        assert self._credentials is not None  # noqa: S101 (nobody subscribes before)
        return Caller(self._socket.scope, self._at.runtime, self._at.limiter, await self._viewer(self._credentials))

    async def _let_in(self, credentials: _Credentials) -> None:
        """For as long as the credentials are good."""
        viewer = await self._viewer(credentials)
        name = f"of an API key:{viewer.key_id}" if viewer.user_id is None else f"of a person:{viewer.user_id}"
        self._places.enter_context(self._at.places.one_of(name, OF_CALLER))
        self._places.enter_context(self._at.guard.over(viewer, self.connection.end))
        self._credentials = credentials

    async def _viewer(self, credentials: _Credentials) -> Viewer:
        if credentials.session is not None:
            return await self._at.authenticator.by_session(self._socket.scope, credentials.session)
        return await self._at.authenticator.by_key(self._socket.scope, credentials.authorization)
