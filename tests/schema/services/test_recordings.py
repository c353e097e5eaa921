"""Links to recordings: absolute, unguessable, and good for a day (decision L3)."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from schema.errors import NotFound
from schema.runtime import Runtime
from schema.services import recordings
from schema.tables import Call
from tests.schema.conftest import Refused
from tests.support.runtime import settings_for
from tests.support.time import VirtualClock

NAME = "c0h3p3mp4oz27ximunyu307cz.mp3"
REFUSAL = "This recording link is not valid, or has expired"
HOUR = 3_600


@pytest.fixture
def file(runtime: Runtime) -> Path:
    path = recordings.directory(runtime.settings) / NAME
    path.write_bytes(b"ID3")
    return path


def parts(link: str | None) -> tuple[str, str, str]:
    assert link is not None
    split = urlsplit(link)
    query = parse_qs(split.query)
    return split.path.rpartition("/")[2], query["expires"][0], query["signature"][0]


def link(runtime: Runtime, name: str | None = NAME) -> str | None:
    return recordings.link(runtime, Call(recording=name))


def test_a_link_is_absolute_and_leads_to_the_file(runtime: Runtime, file: Path) -> None:
    made = link(runtime)

    assert made is not None
    assert made.startswith(f"http://127.0.0.1:8000/recordings/{NAME}?expires=1737039600&signature=")
    assert len(parts(made)[2]) == 64
    assert recordings.open_link(runtime, *parts(made)) == file


def test_links_begin_with_the_public_address(runtime: Runtime) -> None:
    runtime.settings = settings_for(runtime.settings.data, public_url="https://voice.example.com/")

    assert str(link(runtime)).startswith(f"https://voice.example.com/recordings/{NAME}?")


def test_nothing_recorded_has_no_link(runtime: Runtime) -> None:
    assert link(runtime, None) is None


async def test_a_link_is_good_for_24_to_25_hours(
    runtime: Runtime, file: Path, clock: VirtualClock, refused: Refused
) -> None:
    at_the_hour = parts(link(runtime))
    await clock.advance(HOUR - 1)
    at_its_end = parts(link(runtime))
    assert at_its_end == at_the_hour  # a page read twice shows the same link
    await clock.advance(24 * HOUR)

    assert recordings.open_link(runtime, *at_the_hour) == file

    await clock.advance(1)
    async with refused(NotFound, REFUSAL):
        recordings.open_link(runtime, *at_the_hour)
    assert recordings.open_link(runtime, *parts(link(runtime))) == file


@pytest.mark.parametrize(
    ("name", "expires", "signature"),
    [
        ("c0h3p3mp4oz27ximunyu307ca.mp3", None, None),  # another call's
        (None, "1737039601", None),
        (None, "9999999999", None),
        (None, "", None),
        (None, "-1", None),
        (None, "1737039600.0", None),
        (None, "١٧٣٧٠٣٩٦٠٠", None),
        (None, "9" * 5_000, None),
        (None, None, ""),
        (None, None, "0" * 64),
        (None, None, "é" * 64),
    ],
)
async def test_a_link_that_was_tampered_with_is_not_found(
    runtime: Runtime, file: Path, refused: Refused, name: str | None, expires: str | None, signature: str | None
) -> None:
    (file.parent / "c0h3p3mp4oz27ximunyu307ca.mp3").write_bytes(b"ID3")
    good = parts(link(runtime))
    given = [new if new is not None else old for new, old in zip((name, expires, signature), good, strict=True)]

    async with refused(NotFound, REFUSAL):
        recordings.open_link(runtime, *given)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.key",
        "..%2Fsecret.key",
        "/etc/passwd",
        "c0h3p3mp4oz27ximunyu307cz.mp3/../../secret.key",
        "c0h3p3mp4oz27ximunyu307cz.mp3\n",
        "c0h3p3mp4oz27ximunyu307cz.key",
        "C0H3P3MP4OZ27XIMUNYU307CZ.mp3",
        ".mp3",
        "",
    ],
)
async def test_names_that_are_not_a_recording_s_are_not_found(runtime: Runtime, refused: Refused, name: str) -> None:
    """Whoever could sign them: a name never leads out of the directory."""
    expires = 1737039600
    signature = recordings._signature(runtime.secret, name, expires)

    async with refused(NotFound, REFUSAL):
        recordings.open_link(runtime, name, str(expires), signature)


async def test_a_link_of_another_server_is_not_found(
    runtime: Runtime, file: Path, tmp_path: Path, refused: Refused
) -> None:
    other = Runtime.open(settings_for(tmp_path / "other"), clock=runtime.clock)
    theirs = parts(link(other))
    await other.close()

    async with refused(NotFound, REFUSAL):
        recordings.open_link(runtime, *theirs)


async def test_a_recording_that_is_gone_is_not_found(runtime: Runtime, file: Path, refused: Refused) -> None:
    file.unlink()  # noqa: ASYNC240 (the test's own file)

    async with refused(NotFound, REFUSAL):
        recordings.open_link(runtime, *parts(link(runtime)))


def test_only_its_owner_can_list_the_recordings(runtime: Runtime) -> None:
    before = os.umask(0o022)
    try:
        directory = recordings.directory(runtime.settings)
    finally:
        os.umask(before)

    assert directory.stat().st_mode & 0o777 == 0o700
