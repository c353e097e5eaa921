"""`/session`: people sign in to the dashboard, see who they are, choose a password and sign out (decision 0011).

JSON in and out, errors as everywhere (decisions E1–E4). What changes anything must come from our own pages. A session
is good here, on `/graphql` and for pages, and never on `/api/v1`, which takes keys.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import session_cookie
from app.addresses import client_of, rate_limit_key
from app.answer_headers import set_answer_headers
from app.auth import Caller, count_failure
from app.json_body import read_json
from app.rate_limit import RateLimiter
from app.responses import JSONResponse
from app.sign_in_limits import SignInLimits
from schema.errors import Invalid, Unauthenticated
from schema.rules.fields import Field, Shape
from schema.runtime import Runtime
from schema.services import sessions
from schema.services.sessions import SignedIn

NOBODY = "You are not signed in"


def session_routes(runtime: Runtime, limiter: RateLimiter, quarters: RateLimiter) -> list[Route]:
    """The routes. `limiter` counts by the minute, `quarters` by the quarter of an hour."""
    endpoints = _Sessions(runtime, limiter, quarters)
    return [
        Route("/session", endpoints.show, methods=["GET"]),
        Route("/session", endpoints.sign_in, methods=["POST"]),
        Route("/session", endpoints.sign_out, methods=["DELETE"]),
        Route("/session/password", endpoints.change_password, methods=["POST"]),
    ]


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{name} must be a string")
    return value


_TEXT = Field(_string, required=True)
SIGN_IN = Shape(email=_TEXT, password=_TEXT)
CHANGE_PASSWORD = Shape(currentPassword=_TEXT, newPassword=_TEXT)


class _Sessions:
    def __init__(self, runtime: Runtime, limiter: RateLimiter, quarters: RateLimiter) -> None:
        self._runtime = runtime
        self._settings = runtime.settings
        self._limiter = limiter
        self._limits = SignInLimits(limiter, quarters)

    async def sign_in(self, request: Request) -> Response:
        self._write(request)
        given = SIGN_IN.new(_object(await read_json(request)))
        address = client_of(request.scope, self._settings.trusted_proxies)
        async with self._limits.attempt(rate_limit_key(address), given["email"]):
            signed_in, token = await sessions.sign_in(
                self._runtime,
                given["email"],
                given["password"],
                address=str(address) if address else None,
                user_agent=request.headers.get("user-agent"),
            )
        before = session_cookie.token(request.scope, self._settings)
        if before:
            await sessions.sign_out(self._runtime, before)  # this browser has one session, not one more
        return self._answer(signed_in, token)

    async def show(self, request: Request) -> Response:
        _keep_nowhere(request)
        return self._answer(await self._signed_in(request))

    async def sign_out(self, request: Request) -> Response:
        self._write(request)
        token = session_cookie.token(request.scope, self._settings)
        if token:
            await sessions.sign_out(self._runtime, token)
        response = Response(status_code=204)
        session_cookie.clear(response, self._settings)
        return response

    async def change_password(self, request: Request) -> Response:
        self._write(request)
        signed_in = await self._signed_in(request)
        given = CHANGE_PASSWORD.new(_object(await read_json(request)))
        client = rate_limit_key(client_of(request.scope, self._settings.trusted_proxies))
        async with self._limits.attempt(client, signed_in.email):
            changed, token = await sessions.change_password(
                self._runtime, signed_in, given["currentPassword"], given["newPassword"]
            )
        return self._answer(changed, token)

    async def _signed_in(self, request: Request) -> SignedIn:
        """Who asks; it counts as one request of their minute. Raises Unauthenticated, RateLimited."""
        token = session_cookie.token(request.scope, self._settings)
        if token is None:
            raise Unauthenticated(NOBODY)
        address = client_of(request.scope, self._settings.trusted_proxies)
        try:
            signed_in = await sessions.authenticate(self._runtime, token, address=str(address) if address else None)
        except Unauthenticated:
            await count_failure(request.scope, self._limiter, address)
            raise
        await Caller(request.scope, self._runtime, self._limiter, signed_in.viewer).count(1)
        return signed_in

    def _write(self, request: Request) -> None:
        _keep_nowhere(request)
        session_cookie.check_origin(request.scope, self._settings)

    def _answer(self, signed_in: SignedIn, token: str | None = None) -> Response:
        response = JSONResponse(
            {
                "user": {
                    "id": signed_in.user_id,
                    "email": signed_in.email,
                    "role": signed_in.role,
                    "mustChangePassword": signed_in.must_change_password,
                },
                "workspace": {
                    "id": signed_in.workspace_id,
                    "name": signed_in.workspace_name,
                    "plan": signed_in.plan,
                },
            }
        )
        if token is not None:
            session_cookie.put(response, self._settings, token)
        return response


def _keep_nowhere(request: Request) -> None:
    set_answer_headers(request.scope, {"Cache-Control": "no-store"})


def _object(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Invalid("The request body must be an object")
    return body
