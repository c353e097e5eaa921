"""Whatever the services are made to do, the invariants hold afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from schema.runtime import Runtime
from tests.support.invariants import broken_invariants


@pytest.fixture(autouse=True)
async def invariants(runtime: Runtime) -> AsyncIterator[None]:
    yield
    assert await broken_invariants(runtime) == []
