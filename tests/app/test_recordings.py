"""Recordings as players ask for them (decision L3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from schema.services import recordings
from schema.tables import Call
from tests.support import seeds
from tests.support.api import Api, client, error

SOUND = bytes(range(256)) * 8
INVALID = (404, "NOT_FOUND", "This recording link is not valid, or has expired")


@pytest.fixture
async def link(api: Api) -> str:
    """The link to a recording that is there."""
    row = await seeds.call(api.runtime, api.viewer)
    row = await api.set(Call, row.id, recording=f"{row.id}.mp3")
    path_of(api, row.recording).write_bytes(SOUND)
    found = recordings.link(api.runtime, row)
    assert found is not None
    return found


@pytest.fixture
async def player(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, which has no key."""
    async with client(api.app) as http:
        yield http


def path_of(api: Api, name: str | None) -> Path:
    return recordings.directory(api.runtime.settings) / str(name)


async def test_a_whole_recording(player: httpx.AsyncClient, link: str) -> None:
    response = await player.get(link)

    assert (response.status_code, response.content) == (200, SOUND)
    assert response.headers["content-type"] == "audio/mpeg"
    assert response.headers["content-length"] == str(len(SOUND))
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["cache-control"] == "private, max-age=3600"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_only_the_headers(player: httpx.AsyncClient, link: str) -> None:
    response = await player.head(link)

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(SOUND))


async def test_a_wav(api: Api, player: httpx.AsyncClient) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    row = await api.set(Call, row.id, recording=f"{row.id}.wav")
    path_of(api, row.recording).write_bytes(b"RIFF")

    response = await player.get(str(recordings.link(api.runtime, row)))

    assert (response.content, response.headers["content-type"]) == (b"RIFF", "audio/wav")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, 2047),
        ("bytes=2000-9999", 2000, 2047),
        ("bytes=-48", 2000, 2047),
        ("bytes=-9999", 0, 2047),
    ],
)
async def test_a_range(player: httpx.AsyncClient, link: str, asked: str, start: int, end: int) -> None:
    response = await player.get(link, headers={"Range": asked})

    assert (response.status_code, response.content) == (206, SOUND[start : end + 1])
    assert response.headers["content-range"] == f"bytes {start}-{end}/{len(SOUND)}"
    assert response.headers["content-length"] == str(end - start + 1)
    assert response.headers["content-type"] == "audio/mpeg"


@pytest.mark.parametrize("asked", ["bytes=2048-", "bytes=5000-6000", "bytes=-0"])
async def test_a_range_beyond_the_end(player: httpx.AsyncClient, link: str, asked: str) -> None:
    response = await player.get(link, headers={"Range": asked})

    assert error(response) == (416, "BAD_REQUEST", "The recording has no such range")
    assert response.headers["content-range"] == f"bytes */{len(SOUND)}"


@pytest.mark.parametrize(
    "asked", ["bytes=9-5", "bytes=0-1,4-5", "bytes=x", "bytes=-", "lines=0-1", "bytes", "", "bytes=٣-"]
)
async def test_a_range_that_is_ignored(player: httpx.AsyncClient, link: str, asked: str) -> None:
    """RFC 9110 allows it, and it is what a player can live with."""
    response = await player.get(link, headers={"Range": asked.encode()})

    assert (response.status_code, response.content) == (200, SOUND)


async def test_a_range_of_another_version(player: httpx.AsyncClient, link: str) -> None:
    etag = (await player.head(link)).headers["etag"]

    same = await player.get(link, headers={"Range": "bytes=0-9", "If-Range": etag})
    other = await player.get(link, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    beyond = await player.get(link, headers={"Range": "bytes=9999-", "If-Range": '"other"'})

    assert [response.status_code for response in (same, other, beyond)] == [206, 200, 200]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("signature=", "signature=0"),
        ("signature=", "sig="),
        ("expires=", "expires=9"),
        ("expires=", "expires=-"),
        (".mp3", ".wav"),
        ("/recordings/c", "/recordings/d"),
        ("/recordings/", "/recordings/..%2F"),
    ],
)
async def test_a_link_that_was_not_made_here(player: httpx.AsyncClient, link: str, old: str, new: str) -> None:
    response = await player.get(link.replace(old, new, 1))

    assert response.status_code == 404
    assert error(response)[1] == "NOT_FOUND"


async def test_a_link_expires(api: Api, player: httpx.AsyncClient, link: str) -> None:
    """After 24 to 25 hours."""
    await api.clock.advance(24 * 3600)
    before = await player.get(link)
    await api.clock.advance(3600)
    after = await player.get(link)

    assert before.status_code == 200
    assert error(after) == INVALID


async def test_a_recording_whose_file_is_gone(api: Api, player: httpx.AsyncClient, link: str) -> None:
    for path in recordings.directory(api.runtime.settings).iterdir():
        path.unlink()

    assert error(await player.get(link)) == INVALID


async def test_recordings_are_not_listed_and_not_written(player: httpx.AsyncClient, link: str) -> None:
    assert error(await player.get("/recordings"))[0] == 404
    assert error(await player.get("/recordings/"))[0] == 404
    assert error(await player.put(link))[0] == 405
