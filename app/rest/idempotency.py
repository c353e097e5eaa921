"""`Idempotency-Key` on every POST: the first answer again, byte for byte, in place of a second execution (R10).

Kept for 24 hours, by workspace, route and ids in the path: successes, and refusals that came of looking at the
workspace's rows (an unknown agent, a number that may not be called, a plan's limit). Not kept, so that the key is free
again: what began nothing (401, 403, 413, 415, 429, bad JSON, a body that the rules refuse by itself), and 5xx.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from schema.errors import Invalid
from schema.graph.context import Context
from schema.graph.idempotency import HEADER, Answer, Keyed, StillRunning, answer_once

REPLAYED = "Idempotent-Replayed"
_HEADER = HEADER.lower().encode()
STILL_RUNNING = f"Another request with this {HEADER} is still running: wait a moment, then send it again"


def sent_key(scope: Scope) -> str | None:
    """The key that came with a request, as it was sent; None without one. Raises Invalid for two."""
    values = [value for name, value in scope["headers"] if name == _HEADER]
    if len(values) > 1:
        raise Invalid(f"{HEADER} was given more than once")
    return values[0].decode("latin-1") if values else None


async def respond_once(context: Context, keyed: Keyed, respond: Callable[[], Awaitable[Response]]) -> Response:
    """What `respond` says the first time, and said ever after. Raises HTTPException 409, Invalid, Forbidden."""

    async def run() -> Answer:
        response = await respond()
        return Answer(response.status_code, response.headers.get("location"), bytes(response.body))

    try:
        answer, is_replayed = await answer_once(context, keyed, run)
    except StillRunning:
        raise HTTPException(409, STILL_RUNNING) from None
    headers = {"Location": answer.location} if answer.location else {}
    if is_replayed:
        headers[REPLAYED] = "true"
    return Response(answer.body, answer.status, headers, media_type="application/json")
