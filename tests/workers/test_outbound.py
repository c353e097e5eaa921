"""What the client of deliveries sends, how it reads answers, and its one deadline (decisions W4, W7)."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from schema.rules.webhooks import ErrorClass
from tests.workers.receivers import (
    BODY,
    OK,
    Handler,
    answering,
    failure,
    open_client,
    read_request,
    receiver,
    then,
)
from workers import outbound
from workers.outbound import Answer, Withdrawn

# --- answers


async def test_a_200_is_a_success_and_its_body_is_kept() -> None:
    async with receiver(answering(OK)) as port, open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/hook", BODY, {})

    assert answer == Answer(200, None, None, b"ok", truncated=False, duration_ms=answer.duration_ms)
    assert answer.is_success
    assert 0 <= answer.duration_ms < 5_000


async def test_the_request_on_the_wire() -> None:
    requests: list[tuple[bytes, bytes]] = []
    headers = {"Content-Type": "application/json", "User-Agent": "VoxForge-Webhooks/1", "webhook-id": "c1"}

    async with receiver(answering(OK, requests)) as port, open_client() as client:
        await client.post(f"http://127.0.0.1:{port}/a%2Fb?c=%20d", BODY, headers)

    ((head, body),) = requests
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /a%2Fb?c=%20d HTTP/1.1"
    assert sorted(lines[1:-2]) == [
        "Accept-Encoding: identity",
        "Accept: */*",
        f"Content-Length: {len(BODY)}",
        "Content-Type: application/json",
        f"Host: 127.0.0.1:{port}",
        "User-Agent: VoxForge-Webhooks/1",
        "webhook-id: c1",
    ]
    assert body == BODY


@pytest.mark.parametrize("size", [0, 1_048_575, 1_048_576, 3_000_000])
async def test_bodies_arrive_whole_whatever_their_size(size: int) -> None:
    requests: list[tuple[bytes, bytes]] = []
    body = bytes(position % 251 for position in range(1_000)) * (size // 1_000 + 1)

    async with receiver(answering(OK, requests)) as port, open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", body[:size], {})

    assert answer.status == 200
    assert requests[0][1] == body[:size]


@pytest.mark.parametrize(
    ("status", "success"), [(200, True), (204, True), (299, True), (300, False), (404, False), (500, False)]
)
async def test_only_a_2xx_is_a_success(status: int, success: bool) -> None:
    raw = f"HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n".encode()

    async with receiver(answering(raw)) as port, open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert (answer.status, answer.is_success, answer.error_class) == (status, success, None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_status_and_is_not_followed(status: int) -> None:
    followed: list[tuple[bytes, bytes]] = []

    async with receiver(answering(OK, followed)) as target:
        raw = (
            f"HTTP/1.1 {status} Go\r\nLocation: http://127.0.0.1:{target}/\r\n"
            "Set-Cookie: a=b\r\nContent-Length: 5\r\n\r\nthere"
        )
        async with receiver(answering(raw.encode())) as port, open_client() as client:
            answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert (answer.status, answer.is_success, answer.body_excerpt) == (status, False, b"there")
    assert followed == []


async def test_no_cookie_is_kept() -> None:
    requests: list[tuple[bytes, bytes]] = []
    raw = OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n\r\n")

    async with receiver(answering(raw, requests)) as port, open_client() as client:
        for _ in range(2):
            await client.post(f"http://localhost:{port}/", BODY, {})

    assert len(requests) == 2
    assert b"cookie" not in requests[1][0].lower()


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    proxied: list[tuple[bytes, bytes]] = []

    async with receiver(answering(OK, proxied)) as proxy, receiver(answering(OK)) as port, open_client() as client:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert answer.status == 200
    assert proxied == []


async def test_connections_are_used_again() -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answering(OK)(reader, writer)

    async with receiver(handle) as port, open_client() as client:
        answers = [await client.post(f"http://127.0.0.1:{port}/", BODY, {}) for _ in range(5)]

    assert [answer.status for answer in answers] == [200] * 5
    assert connections == 1


async def test_with_many_sockets_open_no_more_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "_KEPT_SOCKETS", 1)
    closed: list[bool] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        closed.append(await reader.read(1) == b"")

    async with receiver(answering(OK)) as first, receiver(handle) as second, open_client() as client:
        await client.post(f"http://127.0.0.1:{first}/", BODY, {})
        answers = [await client.post(f"http://127.0.0.1:{second}/", BODY, {}) for _ in range(3)]
        again = await client.post(f"http://127.0.0.1:{first}/", BODY, {})

    assert [answer.status for answer in answers] == [200] * 3
    assert again.status == 200
    assert closed == [True] * 3


# --- bodies of answers


@pytest.mark.parametrize(
    ("size", "kept", "truncated"),
    [(16_383, 16_383, False), (16_384, 16_384, False), (16_385, 16_384, True), (1_048_576, 16_384, True)],
)
async def test_the_first_16_kib_of_an_answer_are_kept(size: int, kept: int, truncated: bool) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size

    async with receiver(answering(raw)) as port, open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert (answer.status, answer.body_excerpt, answer.truncated) == (200, b"x" * kept, truncated)


async def test_of_a_failure_only_the_excerpt_is_read() -> None:
    raw = b"HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n"

    async with receiver(then(raw, forever=b"x" * 8_192)) as port, open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert (answer.status, answer.body_excerpt, answer.truncated) == (500, b"x" * 16_384, True)


async def test_an_endless_success_is_given_up() -> None:
    """W4: the whole answer did not come, so it is none."""
    async with receiver(then(b"HTTP/1.1 200 OK\r\n\r\n", forever=b"x" * 65_536)) as port, open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert failure(answer) == (ErrorClass.TIMEOUT, "the answer did not end within 1 MiB")


async def test_a_compressed_answer_is_not_expanded() -> None:
    packed = b"\x1f\x8b not even gzip"
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed

    async with receiver(answering(raw)) as port, open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert (answer.status, answer.body_excerpt) == (200, packed)


# --- the deadline


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    "handle",
    [
        pytest.param(silent, id="hangs before the headers"),
        pytest.param(then(b"HTTP/1.1 200 OK\r\n", forever=b"A: b\r\n", every_s=0.01), id="drips headers"),
        pytest.param(
            then(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", forever=b"x", every_s=0.01), id="drips its body"
        ),
        pytest.param(
            then(b"HTTP/1.1 500 No\r\nContent-Length: 1000\r\n\r\n", forever=b"x", every_s=0.01), id="drips a failure"
        ),
        pytest.param(then(b"HTTP/1.1 200 OK\r\n\r\nok", forever=b"x", every_s=60), id="never closes"),
    ],
)
async def test_what_is_not_whole_at_the_deadline_is_a_timeout(handle: Handler) -> None:
    async with receiver(handle) as port, open_client(timeout_s=0.3) as client:
        started = time.monotonic()
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})
        took = time.monotonic() - started

    assert failure(answer) == (ErrorClass.TIMEOUT, "no complete answer within 0.3 s")
    assert 0.3 <= took < 1.3
    assert 300 <= answer.duration_ms <= took * 1000 + 1


async def test_a_tls_handshake_counts_against_the_deadline() -> None:
    async with receiver(silent) as port, open_client(timeout_s=0.3) as client:
        answer = await client.post(f"https://127.0.0.1:{port}/", BODY, {})

    assert failure(answer) == (ErrorClass.TIMEOUT, "no complete answer within 0.3 s")


async def test_a_receiver_that_does_not_read_is_a_timeout() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with receiver(deaf) as port, open_client(timeout_s=0.3) as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", b"x" * 30_000_000, {})

    assert failure(answer) == (ErrorClass.TIMEOUT, "no complete answer within 0.3 s")


async def test_a_receiver_that_accepts_nothing_is_a_timeout() -> None:
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    waiting = [socket.socket() for _ in range(8)]
    for client_socket in waiting:
        client_socket.setblocking(False)
        client_socket.connect_ex(("127.0.0.1", port))

    async with open_client(timeout_s=0.3) as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    for each in (full, *waiting):
        each.close()
    assert failure(answer) == (ErrorClass.TIMEOUT, "no complete answer within 0.3 s")


async def test_a_name_server_that_hangs_is_a_timeout_and_delays_nobody_else() -> None:
    release = threading.Event()

    def lookup(host: str, port: int) -> list[str]:
        if host == "slow.example.com":
            release.wait(10)
        return ["127.0.0.1"]

    async with receiver(answering(OK)) as port, open_client(timeout_s=0.5, lookup=lookup) as client:
        slow = asyncio.ensure_future(client.post(f"http://slow.example.com:{port}/", BODY, {}))
        await asyncio.sleep(0)
        quick = await client.post(f"http://quick.example.com:{port}/", BODY, {})
        slow_answer = await slow
    release.set()

    assert quick.status == 200
    assert failure(slow_answer) == (ErrorClass.TIMEOUT, "no complete answer within 0.5 s")


async def test_names_that_hang_delay_no_other_workspace_s() -> None:
    """Decision W8: two hundred endpoints of one workspace on a name server that does not answer."""
    release = threading.Event()

    def lookup(host: str, port: int) -> list[str]:
        if host.startswith("hang"):
            release.wait(10)
        return ["127.0.0.1"]

    async with receiver(answering(OK)) as port, open_client(lookup=lookup) as client:
        stuck = [
            asyncio.ensure_future(client.post(f"http://hang{n}.example.com/", BODY, {}, owner="one"))
            for n in range(200)
        ]
        await asyncio.sleep(0)
        quick = await client.post(f"http://quick.example.com:{port}/", BODY, {}, owner="another")
        ended = sum(each.done() for each in stuck)
        for each in stuck:
            each.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        release.set()

    assert (quick.status, ended) == (200, 0)


# --- what is not wanted any more when there is a connection (W8)


@pytest.mark.parametrize("moment_s", [-1.0, 60.0])
async def test_what_is_not_wanted_any_more_is_not_sent_once_it_took_long_to_connect(
    monkeypatch: pytest.MonkeyPatch, moment_s: float
) -> None:
    monkeypatch.setattr(outbound, "_MOMENT_S", moment_s)
    requests: list[tuple[bytes, bytes]] = []
    asked = []

    async def no() -> bool:
        asked.append(True)
        return False

    async with receiver(answering(OK, requests)) as port, open_client() as client:
        if moment_s < 0:
            with pytest.raises(Withdrawn):
                await client.post(f"http://127.0.0.1:{port}/", BODY, {}, may_go=no)
        else:
            await client.post(f"http://127.0.0.1:{port}/", BODY, {}, may_go=no)
        again = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert (again.status, len(asked), len(requests)) == ((200, 1, 1) if moment_s < 0 else (200, 0, 2))


async def test_what_could_not_be_looked_at_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's failure is none of the receiver's."""
    monkeypatch.setattr(outbound, "_MOMENT_S", -1.0)
    requests: list[tuple[bytes, bytes]] = []

    async def fail() -> bool:
        raise OSError("database is away")

    async with receiver(answering(OK, requests)) as port, open_client() as client:
        with pytest.raises(Withdrawn):
            await client.post(f"http://127.0.0.1:{port}/", BODY, {}, may_go=fail)

    assert requests == []


async def test_a_cancelled_attempt_is_cancelled() -> None:
    async with receiver(silent) as port, open_client() as client:
        attempt = asyncio.ensure_future(client.post(f"http://127.0.0.1:{port}/", BODY, {}))
        await asyncio.sleep(0)
        attempt.cancel()

        with pytest.raises(asyncio.CancelledError):
            await attempt
