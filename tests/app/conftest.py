"""Who is in front of a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from schema.tables import User
from tests.app.browsers import KIM, browser
from tests.support import seeds
from tests.support.api import Api


@pytest.fixture
async def web(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(api.app) as http:
        yield http


@pytest.fixture
async def kim(api: Api) -> User:
    """An owner, who has chosen a password."""
    return await seeds.user(api.runtime, api.viewer, email=KIM)
