"""Who asks: the API key of a request, and what it may ask this minute (decisions K1, K5).

Authentication comes before everything else under the protected paths, so that a stranger learns nothing of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.addresses import Network, client_of, rate_limit_key
from app.answer_headers import set_answer_headers
from app.rate_limit import FAILED_AUTHENTICATIONS, RateLimiter
from schema.errors import RateLimited, Unauthenticated
from schema.graph.context import Context
from schema.rules.plans import PLANS
from schema.runtime import Runtime, Viewer
from schema.services import keys

_TOO_MANY = "Too many requests: wait until X-RateLimit-Reset, then try again"
_TOO_MANY_FAILURES = "Too many failed authentications from this address: wait until X-RateLimit-Reset, then try again"


class Caller:
    """An authenticated caller, for the length of one request."""

    def __init__(self, scope: Scope, runtime: Runtime, limiter: RateLimiter, viewer: Viewer) -> None:
        self.viewer = viewer
        self.context = Context(runtime, viewer, scope.get("state", {}).get("request_id", ""))
        self._scope = scope
        self._limiter = limiter

    async def count(self, cost: int) -> None:
        """Count `cost` requests against the key and put what is left into the answer's headers. Raises RateLimited."""
        limit = PLANS[self.viewer.plan].requests_per_minute
        usage = await self._limiter.hit(f"key:{self.viewer.key_id}", limit, cost)
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


class Authentication:
    """ASGI layer: a request below one of `prefixes` needs a good key, and is one request of that key's minute.

    `public` are exact paths below them that anybody may read. Failures are counted by client address; a good key from
    an address with too many of them still works. Inside CatchExceptions, outside BodyLimit.
    """

    def __init__(
        self,
        app: ASGIApp,
        runtime: Runtime,
        limiter: RateLimiter,
        *,
        prefixes: Sequence[str],
        public: Collection[str] = (),
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._app = app
        self._runtime = runtime
        self._limiter = limiter
        self._prefixes = tuple(prefixes)
        self._public = frozenset(public)
        self._trusted_proxies = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._protects(scope):
            caller = Caller(scope, self._runtime, self._limiter, await self._authenticate(scope))
            scope.setdefault("state", {})["caller"] = caller
            await caller.count(1)
        await self._app(scope, receive, send)

    def _protects(self, scope: Scope) -> bool:
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        if path in self._public and scope["method"] in ("GET", "HEAD"):
            return False
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self._prefixes)

    async def _authenticate(self, scope: Scope) -> Viewer:
        try:
            return await keys.authenticate(self._runtime, bearer_token(scope))
        except Unauthenticated:
            address = rate_limit_key(client_of(scope, self._trusted_proxies))
            usage = await self._limiter.hit(f"failed-authentication:{address}", FAILED_AUTHENTICATIONS)
            if not usage.allowed:
                set_answer_headers(scope, usage.headers())
                raise RateLimited(_TOO_MANY_FAILURES, retry_after_s=usage.retry_after_s) from None
            raise


def bearer_token(scope: Scope) -> str:
    """The token of `Authorization: Bearer …`. Raises Unauthenticated, also when there are two such headers."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, token = (values[0] if len(values) == 1 else b"").decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(keys.BAD_KEY)
    return token.strip()
