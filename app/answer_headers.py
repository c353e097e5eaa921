"""Headers that every answer to a request carries, whichever layer renders it: errors and crashes too.

`X-Request-Id` (decision R11) and the three `X-RateLimit-*` (decision K5) are set here once, by whoever knows them.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KEY = "answer_headers"
_STARTS = {"http.response.start", "websocket.accept", "websocket.http.response.start"}


def set_answer_headers(scope: Scope, headers: Mapping[str, str]) -> None:
    """Add these to the answer of this request, in place of any of the same name."""
    wanted: dict[bytes, bytes] = scope.setdefault("state", {}).setdefault(_KEY, {})
    for name, value in headers.items():
        wanted[name.lower().encode("latin-1")] = value.encode("latin-1")


class AnswerHeaders:
    """ASGI layer that adds what `set_answer_headers` collected; the outermost one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        wanted: dict[bytes, bytes] = {}
        scope.setdefault("state", {})[_KEY] = wanted

        async def add(message: Message) -> None:
            if message["type"] in _STARTS and wanted:
                kept = [header for header in message.get("headers", ()) if header[0].lower() not in wanted]
                message = {**message, "headers": [*kept, *wanted.items()]}
            await send(message)

        await self._app(scope, receive, add)
