"""What tests of `Idempotency-Key` share: posting with a key, and a request that stops where it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
from sqlalchemy import select

from schema.graph.execution import Operation
from schema.tables import IdempotencyKey
from tests.contract.description import DESCRIPTION
from tests.support.api import Api

HEADER = "Idempotency-Key"
STILL_RUNNING = (
    409,
    "BAD_REQUEST",
    "Another request with this Idempotency-Key is still running: wait a moment, then send it again",
)
OTHER_BODY = (
    400,
    "BAD_REQUEST",
    "This Idempotency-Key was used with another body: send a new key with a new request",
)


async def post(api: Api, path: str, body: Any = None, *, key: str | None = "order-1") -> httpx.Response:
    """A POST, with a key unless it is None, of JSON or of CSV text; it must be answered as the description says."""
    headers = {HEADER: key} if key is not None else {}
    if isinstance(body, str):
        response = await api.http.post(f"/api/v1{path}", content=body, headers={**headers, "Content-Type": "text/csv"})
    else:
        response = await api.post(path, body, headers=headers)
    plain, status = path.partition("?")[0], response.status_code
    complaints = DESCRIPTION.complaints("POST", f"/api/v1{plain}", status, response.headers, response.json())
    assert complaints == []
    return response


def is_replayed(response: httpx.Response) -> bool:
    said = response.headers.get("idempotent-replayed")
    assert said in {None, "true"}
    return said == "true"


async def keys(api: Api) -> list[Any]:
    """The rows of all keys."""
    return await api.runtime.database.read(select(IdempotencyKey))


class Hold:
    """The next operation to begin waits, its key reserved and nothing done, until it is let go."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        self._is_armed = True

    async def pause(self) -> None:
        if self._is_armed:
            self._is_armed = False
            self.reached.set()
            await self.released.wait()


async def held(monkeypatch: Any) -> AsyncIterator[Hold]:
    """For a fixture."""
    hold = Hold()
    run = Operation.run

    async def pausing(self: Operation, *args: Any) -> Any:
        await hold.pause()
        return await run(self, *args)

    monkeypatch.setattr(Operation, "run", pausing)
    yield hold
    hold.released.set()
