"""From an exception to an answer: the framework's, the domain's and the unexpected ones, in one envelope.

`EXCEPTION_HANDLERS` is for Starlette, which answers from inside the routes; `CatchExceptions` is the ASGI layer for
what is raised anywhere else, by a middleware or by a bug.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.responses import JSONResponse, code_for, domain_error_response, error_response
from app.route_path import loggable_path, short_path
from schema.errors import DomainError, ErrorCode

log = structlog.get_logger("voxforge.http")

_STARTS = {"http.response.start", "websocket.accept", "websocket.close", "websocket.http.response.start"}
_DENIAL = "websocket.http.response"


class AnswerAbandoned(Exception):
    """The answer had begun when it failed: the server that called us must close the connection."""


class CatchExceptions:
    """ASGI layer that answers for whatever the layers inside it raise.

    Before the answer has begun, the envelope; after that, nothing that we could add would be right, so the connection
    is closed (the caller sees a truncated answer, never a complete one). The traceback goes to the log only.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        begun: str | None = None

        async def watch(message: Message) -> None:
            nonlocal begun
            if message["type"] in _STARTS:
                begun = message["type"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:
            log.info("client went away", path=loggable_path(scope))
        except Exception as error:  # noqa: BLE001 (the last layer: whatever it is, somebody waits for an answer)
            if begun is None and (scope["type"] == "http" or _DENIAL in scope.get("extensions", {})):
                await response_to(scope, error)(scope, receive, send)
            elif scope["type"] == "websocket":
                _log_crash(scope, error)
                if begun != "websocket.close":
                    await send({"type": "websocket.close", "code": 1011})
            else:
                _log_crash(scope, error)
                raise AnswerAbandoned("The answer had begun when it failed; see the log above.") from None


def response_to(scope: Scope, error: Exception) -> JSONResponse:
    """The answer to an exception. An unexpected one is logged here, with its traceback, and shows nothing of itself."""
    if isinstance(error, DomainError):
        return domain_error_response(error)
    if isinstance(error, HTTPException):
        return _http_error_response(scope, error)
    _log_crash(scope, error)
    request_id = scope.get("state", {}).get("request_id")
    quoted = f" (request {request_id})" if request_id else ""
    return error_response(500, ErrorCode.INTERNAL_ERROR, f"Something went wrong on our end{quoted}")


async def _handle(connection: HTTPConnection, error: Exception) -> Response:
    return response_to(connection.scope, error)


EXCEPTION_HANDLERS: Mapping[Any, Any] = {HTTPException: _handle, DomainError: _handle}
"""For `Starlette(exception_handlers=…)`. Not `Exception`: Starlette would answer and raise it again."""


def _http_error_response(scope: Scope, error: HTTPException) -> JSONResponse:
    # 422 is only ever a plan limit (decision E3), and that is a DomainError.
    status = 400 if error.status_code == 422 else error.status_code
    headers = dict(error.headers or {})
    message = error.detail
    if message == _default_detail(error.status_code):
        asked = f"{scope.get('method', 'WEBSOCKET')} {short_path(scope)}"
        if status == 404:
            message = f"No such route: {asked}"
        elif status == 405:
            allowed = _allowed_methods(scope) or {name.strip() for name in headers.get("Allow", "").split(",")}
            headers["Allow"] = ", ".join(sorted(allowed))
            message = f"{scope['method']} is not allowed on {short_path(scope)}, only {headers['Allow']}"
    return error_response(status, code_for(status), message, headers)


def _default_detail(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _allowed_methods(scope: Scope) -> set[str]:
    """The methods of every route on this path; Starlette's own `Allow` names those of the first only."""
    router = scope.get("router")
    if router is None:
        return set()
    outside = {**scope, "root_path": scope.get("app_root_path", scope.get("root_path", "")), "path_params": {}}
    return set(_methods(router.routes, outside))


def _methods(routes: Iterable[BaseRoute], scope: Scope) -> Iterable[str]:
    for route in routes:
        match, inside = route.matches(scope)
        if match is Match.NONE:
            continue
        if isinstance(route, Mount):
            yield from _methods(route.routes, {**scope, **inside})
        elif isinstance(route, Route):
            yield from route.methods or ()


def _log_crash(scope: Scope, error: Exception) -> None:
    log.error("crash", method=scope.get("method"), path=loggable_path(scope), exc_info=error)
