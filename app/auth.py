"""Who asks: the API key or the session of a request, and what it may ask this minute (decisions K1, K5, 0011).

Authentication comes before everything else under the protected paths, so that a stranger learns nothing of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app import session_cookie
from app.addresses import Address, Network, client_of, rate_limit_key
from app.answer_headers import set_answer_headers
from app.rate_limit import FAILED_AUTHENTICATIONS, RateLimiter
from schema.errors import Forbidden, RateLimited, Unauthenticated
from schema.graph.context import Context
from schema.rules.plans import PLANS
from schema.runtime import Runtime, Viewer
from schema.services import keys, sessions

_TOO_MANY = "Too many requests: wait until X-RateLimit-Reset, then try again"
_CHOOSE = "Choose a password of your own first, in place of the one-time password: POST /session/password"
_TOO_MANY_FAILURES = "Too many failed authentications from this address: wait until X-RateLimit-Reset, then try again"


class Caller:
    """An authenticated caller, for the length of one request."""

    def __init__(self, scope: Scope, runtime: Runtime, limiter: RateLimiter, viewer: Viewer) -> None:
        self.viewer = viewer
        self.context = Context(runtime, viewer, scope.get("state", {}).get("request_id", ""))
        self._scope = scope
        self._limiter = limiter
        self._counted_for = f"key:{viewer.key_id}" if viewer.user_id is None else f"user:{viewer.user_id}"

    async def count(self, cost: int) -> None:
        """Count `cost` requests and put what is left into the answer's headers. Raises RateLimited.

        They count against the key, or against the person, who may ask as much from all their browsers together.
        """
        limit = PLANS[self.viewer.plan].requests_per_minute
        usage = await self._limiter.hit(self._counted_for, limit, cost)
        set_answer_headers(self._scope, usage.headers())
        if not usage.allowed:
            raise RateLimited(_TOO_MANY, retry_after_s=usage.retry_after_s)


def caller_of(connection: HTTPConnection) -> Caller:
    """Who asks, on a route under a protected path."""
    caller: Caller = connection.scope["state"]["caller"]
    return caller


def context_of(connection: HTTPConnection) -> Context:
    """The GraphQL context of a request under a protected path: the same for both faces."""
    return caller_of(connection).context


class Authenticator:
    """Tells who asks; what it does not believe is counted by client address."""

    def __init__(self, runtime: Runtime, limiter: RateLimiter, trusted_proxies: Sequence[Network]) -> None:
        self._runtime = runtime
        self._limiter = limiter
        self._trusted_proxies = trusted_proxies

    async def by_key(self, scope: Scope, authorization: Sequence[str]) -> Viewer:
        """By the values of `Authorization`. Raises Unauthenticated, WrongAddress, RateLimited."""
        address = client_of(scope, self._trusted_proxies)
        async with self._counting_failures(scope, address):
            return await keys.authenticate(self._runtime, bearer_token(authorization), address)

    async def by_session(self, scope: Scope, token: str) -> Viewer:
        """By a session's token, if our own page sent it. Raises Unauthenticated, Forbidden, RateLimited."""
        address = client_of(scope, self._trusted_proxies)
        async with self._counting_failures(scope, address):
            session_cookie.check_origin(scope, self._runtime.settings)
            signed_in = await sessions.authenticate(self._runtime, token, address=str(address) if address else None)
            if signed_in.must_change_password:
                raise Forbidden(_CHOOSE)
            return signed_in.viewer

    @asynccontextmanager
    async def _counting_failures(self, scope: Scope, address: Address | None) -> AsyncIterator[None]:
        try:
            yield
        except (Unauthenticated, keys.WrongAddress):  # of a key's own minute a thief uses up nothing
            await count_failure(scope, self._limiter, address)
            raise


class Authentication:
    """ASGI layer: a request below one of `prefixes` needs a good key, and is one request of that key's minute.

    `public` are exact paths below them that anybody may read. Below `with_sessions` a session will do for a key,
    if the request comes from our own page; a key that is presented comes first. Failures are counted by client address;
    a good key from an address with too many of them still works. Inside CatchExceptions, outside BodyLimit.
    """

    def __init__(
        self,
        app: ASGIApp,
        runtime: Runtime,
        limiter: RateLimiter,
        *,
        prefixes: Sequence[str],
        public: Collection[str] = (),
        with_sessions: Sequence[str] = (),
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._app = app
        self._runtime = runtime
        self._limiter = limiter
        self._prefixes = tuple(prefixes)
        self._public = frozenset(public)
        self._with_sessions = tuple(with_sessions)
        self._authenticator = Authenticator(runtime, limiter, trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._protects(scope):
            caller = Caller(scope, self._runtime, self._limiter, await self._authenticate(scope))
            scope.setdefault("state", {})["caller"] = caller
            await caller.count(1)
        await self._app(scope, receive, send)

    def _protects(self, scope: Scope) -> bool:
        path = _path(scope)
        if path in self._public and scope["method"] in ("GET", "HEAD"):
            return False
        return _is_below(path, self._prefixes)

    async def _authenticate(self, scope: Scope) -> Viewer:
        """By the session's token where sessions are good and no key is presented, else by the key."""
        presented = authorizations(scope)
        token = None
        if not presented and _is_below(_path(scope), self._with_sessions):
            token = session_cookie.token(scope, self._runtime.settings)
        if token is not None:
            return await self._authenticator.by_session(scope, token)
        return await self._authenticator.by_key(scope, presented)


async def count_failure(scope: Scope, limiter: RateLimiter, address: Address | None) -> None:
    """Count a failed authentication (decision K5). Raises RateLimited in its place when there are too many."""
    usage = await limiter.hit(f"failed-authentication:{rate_limit_key(address)}", FAILED_AUTHENTICATIONS)
    if not usage.allowed:
        set_answer_headers(scope, usage.headers())
        raise RateLimited(_TOO_MANY_FAILURES, retry_after_s=usage.retry_after_s) from None


def bearer_token(authorization: Sequence[str]) -> str:
    """The token of `Authorization: Bearer …`. Raises Unauthenticated, also when there are two such headers."""
    scheme, _, token = (authorization[0] if len(authorization) == 1 else "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(keys.BAD_KEY)
    return token.strip()


def authorizations(scope: Scope) -> list[str]:
    """The value of each `Authorization` header."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]


def _path(scope: Scope) -> str:
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path


def _is_below(path: str, prefixes: Sequence[str]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)
