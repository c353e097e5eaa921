"""The id of a request: in its answer and on every log line (decision R11)."""

from __future__ import annotations

import re
import secrets

from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from app.answer_headers import set_answer_headers

_HEADER = b"x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestId:
    """ASGI layer that takes the caller's `X-Request-Id` if it is 1 to 128 of `A-Za-z0-9._-`, else makes one.

    It is `scope["state"]["request_id"]`. Inside AnswerHeaders, outside everything that logs.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = _sent_by_caller(scope) or secrets.token_hex(16)
        scope.setdefault("state", {})["request_id"] = request_id
        set_answer_headers(scope, {"X-Request-Id": request_id})
        with bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send)


def _sent_by_caller(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == _HEADER:
            return value.decode("ascii") if _SANE.fullmatch(value) else None
    return None
