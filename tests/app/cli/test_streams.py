"""Server-sent events as the commands read them: byte for byte, over as many connections as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from app.cli import streams
from app.cli.remote import Server
from app.cli.streams import Block, blocks, follow
from app.failure import Failure

SERVER = Server("http://voxforge.test", "vf_live_x")


def test_blocks_are_read_byte_for_byte_however_they_are_cut() -> None:
    text = 'id: c1\nretry: 2000\n\n:\n\nid: c2\nevent: call.ended\ndata: {"text": "a: b \u2028 ü"}\n\nid: c3\n'.encode()
    expected = [
        Block("c1", "", b""),
        Block("", "", b""),
        Block("c2", "call.ended", '{"text": "a: b \u2028 ü"}'.encode()),
    ]

    for size in (1, 2, 7, 1_000):
        cut = [text[at : at + size] for at in range(0, len(text), size)]
        assert list(blocks(iter(cut))) == expected


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited between connections."""
    waited: list[float] = []
    monkeypatch.setattr(streams.time, "sleep", waited.append)
    return waited


def answering(monkeypatch: pytest.MonkeyPatch, answers: list[Any]) -> list[dict[str, Any]]:
    """Each connection gets the next answer; returns what was asked, as it is asked."""
    asked: list[dict[str, Any]] = []

    @contextmanager
    def stream(_client: httpx.Client, **given: Any) -> Iterator[httpx.Response]:
        asked.append(given)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield httpx.Response(**answer, request=httpx.Request("GET", "http://voxforge.test/api/v1/events"))

    monkeypatch.setattr(httpx.Client, "stream", stream)
    return asked


ONE = {"status_code": 200, "content": b"id: c1\ndata: 1\n\n"}
TWO = {"status_code": 200, "content": b"id: c2\ndata: 2\n\n"}
BUSY = {"status_code": 429, "json": {"error": {"code": "RATE_LIMITED", "message": "Too many"}}}
GONE = {"status_code": 401, "json": {"error": {"code": "UNAUTHORIZED", "message": "Missing or invalid API key"}}}


def test_a_stream_that_breaks_is_opened_anew_and_waits_longer_each_time(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    down = [httpx.ConnectError("refused")] * 6
    asked = answering(monkeypatch, [ONE, BUSY, *down, TWO, httpx.ReadTimeout("silent"), ONE])
    places = iter(range(20))

    stream = follow(SERVER, lambda: {"method": "GET", "url": "/x", "headers": {"n": str(next(places))}})
    got = [next(stream).id for _ in range(3)]

    assert got == ["c1", "c2", "c1"]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30, 1, 2]
    assert [each["headers"]["n"] for each in asked] == [str(number) for number in range(11)]
    assert asked[0]["url"] == "http://voxforge.test/x"


def test_a_refusal_that_stays_ends_it(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    answering(monkeypatch, [ONE, GONE])
    stream = follow(SERVER, lambda: {"method": "GET", "url": "/x"})
    next(stream)

    with pytest.raises(Failure, match="Missing or invalid API key"):
        next(stream)

    assert waits == [1]


@pytest.mark.parametrize(
    ("answer", "says"),
    [(BUSY, "Too many"), (httpx.ConnectError("refused"), "http://voxforge.test cannot be reached: refused")],
)
def test_what_never_begins_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, waits: list[float], answer: Any, says: str
) -> None:
    answering(monkeypatch, [answer])

    with pytest.raises(Failure, match=says):
        next(follow(SERVER, lambda: {"method": "GET", "url": "/x"}))

    assert waits == []
