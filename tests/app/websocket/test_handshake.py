"""Who may open a WebSocket, and how those who may not are told: in HTTP, in the envelope (decision 0015)."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from app.websocket import places, route
from schema.services.keys import BAD_KEY
from schema.settings import Settings
from schema.tables import ApiKey
from tests.app.websocket.support import Peer, listening, opened, refused
from tests.support import seeds
from tests.support.api import Api

GOOD = base64.b64encode(b"x" * 16).decode()
UNAUTHORIZED = (401, "UNAUTHORIZED", BAD_KEY)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("protocols", [None, ["graphql-ws"], ["graphql-transport-ws2", "soap"]])
async def test_one_sub_protocol(api: Api, protocols: Any) -> None:
    async with listening(api.app) as port:
        answer = await refused(port, subprotocols=protocols, additional_headers=bearer(api.key))

    assert answer == (400, "BAD_REQUEST", "The WebSocket sub-protocol must be graphql-transport-ws")


async def test_a_refusal_is_no_error_of_ours(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody could fill the log with them."""
    async with listening(api.app) as port:
        for headers in (bearer(api.key), bearer("vf_live_nonsense")):
            await refused(port, subprotocols=None, additional_headers=headers)

    assert [record.message for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []


async def test_of_several_the_one_we_speak(api: Api) -> None:
    async with listening(api.app) as port, opened(port, subprotocols=["graphql-ws", "graphql-transport-ws"]) as peer:
        assert peer.socket.subprotocol == "graphql-transport-ws"


async def test_where_http_cannot_say_so_the_close_code_does(api: Api) -> None:
    """A server without the extension that carries an answer to a handshake."""
    sent: list[Any] = []
    scope = {
        "type": "websocket",
        "path": "/graphql",
        "scheme": "ws",
        "query_string": b"",
        "headers": [],
        "subprotocols": ["graphql-ws"],
        "client": ("127.0.0.1", 1),
        "extensions": {},
    }

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await api.app(scope, receive, send)

    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert (sent[1]["code"], sent[1]["reason"]) == (4406, "Subprotocol not acceptable")


@pytest.mark.parametrize("path", ["/", "/graphql/", "/api/v1/calls", "/nowhere"])
async def test_no_other_path_is_a_websocket(api: Api, path: str) -> None:
    """They are answered as if they were asked without `Upgrade`."""
    async with listening(api.app) as port, asyncio.timeout(10):
        plain, upgrade = [
            await _raw(port, f"GET {path} HTTP/1.1", "Host: x", f"Connection: {connection}", *more)
            for connection, more in (
                ("close", []),
                (
                    "close, Upgrade",
                    ["Upgrade: websocket", f"Sec-WebSocket-Key: {GOOD}", "Sec-WebSocket-Version: 13"],
                ),
            )
        ]

    assert upgrade == plain


@pytest.mark.parametrize(
    "headers",
    [
        [f"Sec-WebSocket-Key: {GOOD}", "Sec-WebSocket-Version: 12"],
        [f"Sec-WebSocket-Key: {GOOD}"],
        ["Sec-WebSocket-Version: 13"],
        ["Sec-WebSocket-Key: short", "Sec-WebSocket-Version: 13"],
        [f"Sec-WebSocket-Key: {GOOD}", f"Sec-WebSocket-Key: {GOOD}", "Sec-WebSocket-Version: 13"],
    ],
)
async def test_what_is_no_handshake_is_a_get(api: Api, headers: list[str]) -> None:
    async with listening(api.app) as port, asyncio.timeout(10):
        status, body = await _raw(
            port,
            "GET /graphql HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {api.key}",
            "Connection: close, Upgrade",
            "Upgrade: websocket",
            *headers,
        )

    assert status == 405
    assert body == {"error": {"code": "BAD_REQUEST", "message": "GET is not allowed on /graphql, only POST"}}


async def test_a_handshake_that_http_takes_and_the_other_parser_does_not(api: Api) -> None:
    """Two parsers read it, and the second knows a most of headers."""
    many = [f"X-{number}: y" for number in range(200)]
    async with listening(api.app) as port, asyncio.timeout(10):
        status, body = await _raw(port, *handshake(), *many)

    assert status == 400
    assert body == {"error": {"code": "BAD_REQUEST", "message": "The WebSocket handshake is not valid"}}


async def test_extensions_are_not_spoken_however_they_arewritten(api: Api) -> None:
    async with listening(api.app) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(written([*handshake(), "Sec-WebSocket-Extensions: ;;=,"]))
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"extensions" not in head.lower()


@pytest.mark.parametrize("value", ["Bearer wrong", "Basic abc", "Bearer ", ""])
async def test_a_header_must_be_a_good_key(api: Api, value: str) -> None:
    async with listening(api.app) as port:
        answer = await refused(port, additional_headers={"Authorization": value})

    assert answer == UNAUTHORIZED


async def test_a_bad_header_is_not_mended_by_a_good_payload_nor_a_good_one_spoilt(api: Api) -> None:
    """The header wins."""
    async with listening(api.app) as port, opened(port, additional_headers=bearer(api.key)) as peer:
        await peer.send("connection_init", payload={"authorization": "Bearer wrong"})

        assert await peer.get() == {"type": "connection_ack"}
        assert await peer.ask("{ agents { total } }") == {"data": {"agents": {"total": 0}}}


async def test_failures_are_counted_by_address(api: Api) -> None:
    """K5."""
    async with listening(api.app) as port:
        answers = [await refused(port, additional_headers=bearer("wrong")) for _ in range(21)]
        async with opened(port, api.key) as peer:
            still = await peer.ask("{ __typename }")

    assert answers[:20] == [UNAUTHORIZED] * 20
    assert answers[20][:2] == (429, "RATE_LIMITED")
    assert still == {"data": {"__typename": "Query"}}


async def test_a_key_from_elsewhere(api: Api) -> None:
    """K3."""
    await api.set(ApiKey, api.key_id, allowed_ips=["203.0.113.0/24"])
    async with listening(api.app) as port:
        answer = await refused(port, additional_headers=bearer(api.key))
        async with opened(port) as peer:
            await peer.send("connection_init", payload={"authorization": f"Bearer {api.key}"})
            closed = await peer.closed()

    assert answer == (403, "FORBIDDEN", "This API key may not be used from this address")
    assert closed == (4403, "This API key may not be used from this address")


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:{port}", "http://localhost:{port}"],
)
async def test_pages_of_other_sites(api: Api, origin: str) -> None:
    async with listening(api.app) as port:
        answer = await refused(port, origin=origin.format(port=port), additional_headers=bearer(api.key))
        without = await refused(port, origin=origin.format(port=port))

    assert answer == without == (403, "FORBIDDEN", route.FOREIGN)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:{port}", "{public}"])
async def test_pages_of_our_own(api: Api, settings: Settings, origin: str) -> None:
    async with listening(api.app) as port:
        own = origin.format(port=port, public=settings.public_base)
        async with opened(port, api.key, origin=own) as peer:
            answer = await peer.ask("{ __typename }")

    assert answer == {"data": {"__typename": "Query"}}


async def test_a_session_is_good_for_our_own_page_alone(api: Api, settings: Settings) -> None:
    _, token = await seeds.signed_in(api.runtime, api.viewer, email="kim@example.com")
    cookie = {"Cookie": f"voxforge_session={token}"}
    async with listening(api.app) as port:
        async with opened(port, additional_headers=cookie, origin=settings.public_base) as page:
            await page.send("connection_init")
            acknowledged = await page.get()
            answer = await page.ask("{ viewer { user { email } } }")
        async with opened(port, additional_headers=cookie) as program:
            await program.send("connection_init")
            closed = await program.closed()

    assert acknowledged == {"type": "connection_ack"}
    assert answer == {"data": {"viewer": {"user": {"email": "kim@example.com"}}}}
    assert closed[0] == 4403


async def test_a_key_in_the_payload_comes_before_the_browser_s_session(api: Api, settings: Settings) -> None:
    _, token = await seeds.signed_in(api.runtime, api.viewer)
    cookie = {"Cookie": f"voxforge_session={token}"}
    async with (
        listening(api.app) as port,
        opened(port, additional_headers=cookie, origin=settings.public_base) as page,
    ):
        await page.send("connection_init", payload={"authorization": f"Bearer {api.key}"})
        await page.get()

        assert await page.ask("{ viewer { user { email } } }") == {"data": {"viewer": {"user": None}}}


async def test_a_query_string_is_refused(api: Api) -> None:
    """Keys in addresses end up in logs."""
    async with listening(api.app) as port:
        answer = await refused(port, path=f"/graphql?authorization={api.key}")

    assert answer[:2] == (400, "BAD_REQUEST")


async def test_places_of_a_key(api: Api, other: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "OF_CALLER", 2)
    async with listening(api.app) as port:
        async with opened(port, api.key), opened(port, api.key):
            header = await refused(port, additional_headers=bearer(api.key))
            async with opened(port) as peer:
                await peer.send("connection_init", payload={"authorization": f"Bearer {api.key}"})
                payload = await peer.closed()
            async with opened(port, other.key) as peer:
                somebody_else = await peer.ask("{ __typename }")
        async with opened(port, api.key) as peer:
            later = await peer.ask("{ __typename }")

    message = "Too many WebSocket connections are open: at most 2 of an API key"
    assert header == (429, "RATE_LIMITED", message)
    assert payload == (1013, message)
    assert somebody_else == later == {"data": {"__typename": "Query"}}


async def test_strangers_leave_room(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "STRANGERS_OF_ADDRESS", 2)
    async with listening(api.app) as port, opened(port) as first, opened(port):
        stranger = await refused(port)
        async with opened(port, api.key) as known:
            answer = await known.ask("{ __typename }")
        await first.send("connection_init", payload={"authorization": f"Bearer {api.key}"})
        await first.get()
        async with opened(port) as next_one:
            await next_one.send("ping")
            pong = await next_one.get()

    assert stranger[:2] == (429, "RATE_LIMITED")
    assert answer == {"data": {"__typename": "Query"}}
    assert pong == {"type": "pong"}


@pytest.mark.parametrize("limit", ["OF_PROCESS", "STRANGERS"])
async def test_places_of_a_process(api: Api, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(route, limit, 1)
    async with listening(api.app) as port, opened(port) as peer:
        answer = await refused(port)

        assert answer[:2] == (429, "RATE_LIMITED")
        await _is_alive(peer)


def test_how_many_places_there_are() -> None:
    assert (places.OF_PROCESS, places.OF_CALLER, places.STRANGERS, places.STRANGERS_OF_ADDRESS) == (1000, 100, 200, 20)


async def _is_alive(peer: Peer) -> None:
    await peer.send("ping")
    assert await peer.get() == {"type": "pong"}


def handshake() -> list[str]:
    return [
        "GET /graphql HTTP/1.1",
        "Host: x",
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Key: {GOOD}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: graphql-transport-ws",
    ]


def written(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()


async def _raw(port: int, *lines: str) -> tuple[int, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(written(list(lines)))
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    text = body.decode()
    return int(head.split(b" ")[1]), json.loads(text) if text.startswith("{") else text
