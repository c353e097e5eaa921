"""Whatever the services are made to do, the invariants hold afterwards; and what several tests begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from schema.runtime import Runtime, Viewer
from schema.tables import Delivery, WebhookEndpoint
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.invariants import broken_invariants
from tests.support.time import VirtualClock


@pytest.fixture(autouse=True)
async def invariants(runtime: Runtime) -> AsyncIterator[None]:
    yield
    assert await broken_invariants(runtime) == []


@pytest.fixture
def workers(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> Workers:
    """Who dials for the workspace, one step at a time."""
    return Workers(runtime, viewer, clock)


@pytest.fixture
async def endpoint(runtime: Runtime, viewer: Viewer) -> WebhookEndpoint:
    """One that wants every event."""
    return await seeds.endpoint(runtime, viewer)


@pytest.fixture
async def delivery(runtime: Runtime, viewer: Viewer, endpoint: WebhookEndpoint) -> Delivery:
    """An automatic delivery that waits: `call.started`."""
    call = await seeds.call(runtime, viewer)
    await seeds.submitted(runtime, viewer, call)
    async with runtime.transaction(viewer) as tx:
        (row,) = await tx.all(tx.select(Delivery))
    return row
