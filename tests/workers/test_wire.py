"""What a hostile receiver sends without end is given up early, and cheaply (decisions W4, W8)."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from schema.rules.webhooks import ErrorClass
from tests.workers.receivers import BODY, OK, Handler, answering, failure, open_client, read_request, receiver, then
from workers.outbound import Answer
from workers.wire import WIRE_BYTES

HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
ENDLESS_HEAD = (ErrorClass.CONNECT, "the headers of the answer did not end within 64 KiB")
ENDLESS = (ErrorClass.TIMEOUT, "the answer did not end within 1 MiB")
NOT_HTTP = (ErrorClass.CONNECT, "the answer is not HTTP")
HELD_BYTES = 1_000_000


async def measured(handle: Handler, body: bytes = BODY, timeout_s: float = 30) -> tuple[Answer, int]:
    """The answer of one attempt, and how many bytes Python held at most while it was made."""
    async with receiver(handle) as port, open_client(timeout_s=timeout_s) as client:
        async with receiver(answering(OK)) as warm:
            await client.post(f"http://127.0.0.1:{warm}/", BODY, {})
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        answer = await client.post(f"http://127.0.0.1:{port}/", body, {})
        held = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
    return answer, held


@pytest.mark.parametrize(
    ("handle", "expected"),
    [
        pytest.param(then(b"", forever=HINT * 400), ENDLESS_HEAD, id="interim answers"),
        pytest.param(then(b"", forever=b"HTTP/1.1 100 Continue\r\n\r\n" * 400), ENDLESS_HEAD, id="continue"),
        pytest.param(then(b"HTTP/1.1 200 OK\r\n", forever=b"A: " + b"x" * 8_000 + b"\r\n"), ENDLESS_HEAD, id="headers"),
        pytest.param(then(b"HTTP/1.1 200 OK\r\nA: ", forever=b"x" * 65_536), NOT_HTTP, id="one header line"),
        pytest.param(then(b"HTTP/1.1 200 ", forever=b"x" * 65_536), NOT_HTTP, id="a status line"),
        pytest.param(then(b"", forever=b"x" * 65_536), NOT_HTTP, id="bytes"),
        pytest.param(
            then(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", forever=b"x" * 65_536),
            ENDLESS,
            id="extension",
        ),
        pytest.param(
            then(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", forever=b"1\r\nx\r\n" * 5_000),
            ENDLESS,
            id="tiny chunks",
        ),
        pytest.param(
            then(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n", forever=b"x" * 65_536),
            ENDLESS,
            id="a giant chunk",
        ),
        pytest.param(
            then(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", forever=b"x" * 65_536),
            ENDLESS,
            id="a gigabyte",
        ),
    ],
)
async def test_what_comes_without_end_is_given_up(handle: Handler, expected: tuple[ErrorClass, str]) -> None:
    answer, held = await measured(handle)

    assert failure(answer) == expected
    assert held < HELD_BYTES


async def test_a_few_interim_answers_are_passed_over() -> None:
    async with receiver(answering(HINT * 3 + OK)) as port, open_client() as client:
        answers = [await client.post(f"http://127.0.0.1:{port}/", BODY, {}) for _ in range(2)]

    assert [(answer.status, answer.body_excerpt) for answer in answers] == [(200, b"ok")] * 2


async def test_answers_that_nobody_asked_for_are_not_kept() -> None:
    requests: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append((await read_request(reader))[1])
        writer.write(OK + b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" * 10_000)
        await writer.drain()
        await reader.read()

    async with receiver(handle) as port, open_client() as client:
        answers = [await client.post(f"http://127.0.0.1:{port}/", BODY, {}) for _ in range(3)]

    assert [(answer.status, answer.body_excerpt) for answer in answers] == [(200, b"ok")] * 3
    assert len(requests) == 3


async def test_the_counts_begin_anew_with_each_request() -> None:
    size = 500_000
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size

    async with receiver(answering(raw)) as port, open_client() as client:
        answers = [await client.post(f"http://127.0.0.1:{port}/", BODY, {}) for _ in range(WIRE_BYTES // size + 2)]

    assert {answer.status for answer in answers} == {200}


async def test_another_protocol_is_a_status_and_nothing_more_is_read() -> None:
    raw = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

    answer, held = await measured(then(raw, forever=b"x" * 65_536))

    assert (answer.status, answer.is_success) == (101, False)
    assert held < HELD_BYTES


async def test_a_body_that_is_not_read_is_not_copied() -> None:
    async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    answer, held = await measured(deaf, body=b"x" * 10_000_000, timeout_s=0.5)

    assert answer.error_class is ErrorClass.TIMEOUT
    assert held < HELD_BYTES
