"""Server-sent events, as a program reads them from a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.app.websocket.support import WAIT_S


class Stream:
    """The caller's end of one."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.begins: dict[str, str] = {}
        self._lines = response.aiter_lines()

    async def get(self) -> dict[str, str]:
        """The next block, a field a name; a comment is the field without one."""
        block: dict[str, str] = {}
        async with asyncio.timeout(WAIT_S):
            async for line in self._lines:
                if not line:
                    return block
                name, _, value = line.partition(":")
                block[name] = value.removeprefix(" ")
        raise EOFError

    async def ended(self) -> list[str]:
        """What was still said."""
        async with asyncio.timeout(WAIT_S):
            return [line async for line in self._lines]


@asynccontextmanager
async def http_to(port: int, key: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as http:
        yield http
