"""Connections to the application over real sockets, as `websockets` makes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.http_protocol import HttpProtocol
from app.websocket.server_protocol import OPTIONS
from tests.app.support import serving

WAIT_S = 10


@asynccontextmanager
async def listening(app: ASGIApp, **options: Any) -> AsyncIterator[int]:
    """The application on a port, served as `voxforge serve` serves it."""
    async with serving(app, http=HttpProtocol, **{**OPTIONS, **options}) as port:
        yield port


class Peer:
    """The client's end."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, type: str, **more: Any) -> None:
        await self.socket.send(json.dumps({"type": type, **more}))

    async def subscribe(self, id: str, query: str, /, **variables: Any) -> None:
        await self.send("subscribe", id=id, payload={"query": query, "variables": variables})

    async def get(self) -> Any:
        """The next message."""
        async with asyncio.timeout(WAIT_S):
            return json.loads(await self.socket.recv())

    async def ask(self, query: str, /, **variables: Any) -> Any:
        """The payload of a query's or a mutation's only answer."""
        await self.subscribe("ask", query, **variables)
        answer = await self.get()
        assert answer["type"] == "next", answer
        assert await self.get() == {"id": "ask", "type": "complete"}
        return answer["payload"]

    async def closed(self) -> tuple[int, str]:
        """Code and reason, once the server has closed, and said nothing before."""
        with pytest.raises(ConnectionClosed) as raised:
            async with asyncio.timeout(WAIT_S):
                await self.socket.recv()
        assert raised.value.rcvd is not None
        return raised.value.rcvd.code, raised.value.rcvd.reason


@asynccontextmanager
async def opened(port: int, key: str | None = None, **given: Any) -> AsyncIterator[Peer]:
    """A connection; with a key, one that has been acknowledged."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    options = {
        "subprotocols": ["graphql-transport-ws"],
        "additional_headers": headers,
        "proxy": None,
        "close_timeout": 1,
        "max_size": None,
        **given,
    }
    async with connect(f"ws://127.0.0.1:{port}/graphql", **options) as socket:
        peer = Peer(socket)
        if key:
            await peer.send("connection_init")
            assert await peer.get() == {"type": "connection_ack"}
        yield peer


async def refused(port: int, path: str = "/graphql", **given: Any) -> tuple[int, str, str]:
    """Status, code and message of a handshake that is refused in the envelope (decision E1)."""
    options = {"subprotocols": ["graphql-transport-ws"], "proxy": None, **given}
    with pytest.raises(InvalidStatus) as raised:
        async with connect(f"ws://127.0.0.1:{port}{path}", **options):
            pass
    response = raised.value.response
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    body = json.loads(response.body or b"")
    return response.status_code, body["error"]["code"], body["error"]["message"]
