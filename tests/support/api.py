"""The API as its callers have it: the whole application over a migrated database, a workspace, a key, and HTTP.

Ask for `api`; `on_both` runs a test on both databases, and `@pytest.mark.parametrize("plan", …)` sets the plan.
`other` is a second workspace on the same server. The clock stands still.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import pytest
from starlette.applications import Starlette

from app.main import create_app
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.tables import Table
from tests.support import seeds
from tests.support.invariants import rows
from tests.support.time import VirtualClock

T = TypeVar("T", bound=Table)

UNKNOWN = "c0000000000000000unknown0"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Api:
    """One workspace's way in. Paths are below `/api/v1`."""

    runtime: Runtime
    clock: VirtualClock
    app: Starlette
    viewer: Viewer
    key_id: str
    key: str
    http: httpx.AsyncClient

    async def get(self, path: str, **given: Any) -> httpx.Response:
        return await self.http.get(f"/api/v1{path}", **given)

    async def post(self, path: str, json: Any = None, **given: Any) -> httpx.Response:
        return await self.http.post(f"/api/v1{path}", json=json, **given)

    async def patch(self, path: str, json: Any, **given: Any) -> httpx.Response:
        return await self.http.patch(f"/api/v1{path}", json=json, **given)

    async def delete(self, path: str, **given: Any) -> httpx.Response:
        return await self.http.delete(f"/api/v1{path}", **given)

    async def graphql(self, query: str, **variables: Any) -> Any:
        """The JSON of a request that GraphQL answered."""
        response = await self.http.post("/graphql", json={"query": query, "variables": variables})
        assert response.status_code == 200, response.text
        return response.json()

    async def set(self, table: type[T], id: str, **columns: Any) -> T:
        """Make a row what no verb makes it: older, finished, named by somebody else."""
        async with self.runtime.transaction(self.viewer) as tx:
            row = await tx.lock(table, id)
            for name, value in columns.items():
                setattr(row, name, value)
            return row

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """What happens inside leaves every row of the database as it was."""
        await self.get("/phone-numbers")  # a key's `lastUsedAt` is written at its first use
        before = await rows(self.runtime)
        yield
        assert await rows(self.runtime) == before


def error(response: httpx.Response) -> tuple[int, str, str]:
    """Status, code and message, once nothing else is in the answer (decision E1)."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"], body
    assert list(body["error"]) == ["code", "message"]
    return response.status_code, body["error"]["code"], body["error"]["message"]


def client(app: Starlette, key: str | None = None, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    """HTTP to the application, from an address."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(app, client=(peer, 40000))
    return httpx.AsyncClient(transport=transport, base_url="http://voxforge.test", headers=headers)


@pytest.fixture
def plan() -> Plan:
    """What the workspaces pay for."""
    return Plan.PROFESSIONAL


@pytest.fixture
def app(runtime: Runtime) -> Starlette:
    """The application."""
    return create_app(runtime)


@pytest.fixture
async def api(runtime: Runtime, clock: VirtualClock, app: Starlette, plan: Plan) -> AsyncIterator[Api]:
    """A workspace, its key, and HTTP."""
    async with _opened(runtime, clock, app, plan, "Acme") as opened:
        yield opened


@pytest.fixture
async def other(runtime: Runtime, clock: VirtualClock, app: Starlette, plan: Plan) -> AsyncIterator[Api]:
    """Another workspace on the same server."""
    async with _opened(runtime, clock, app, plan, "Other") as opened:
        yield opened


@asynccontextmanager
async def _opened(runtime: Runtime, clock: VirtualClock, app: Starlette, plan: Plan, name: str) -> AsyncIterator[Api]:
    viewer = await seeds.workspace(runtime, name=name, plan=plan)
    row, key = await seeds.key(runtime, viewer)
    async with client(app, key) as http:
        yield Api(runtime, clock, app, viewer, row.id, key, http)
