"""Whose page sent a request: origins are compared, and cost nothing (decision 0011)."""

from __future__ import annotations

from pathlib import Path

import pytest
from yarl import URL

from app import session_cookie
from tests.support.runtime import settings_for

OURS = "https://voxforge.example"


def from_here(
    folder: Path, origin: str, *, public: str = OURS, scheme: str = "http", host: str = "voxforge.example"
) -> bool:
    scope = {"scheme": scheme, "headers": [(b"origin", origin.encode("latin-1")), (b"host", host.encode("latin-1"))]}
    return session_cookie.is_from_here(scope, settings_for(folder, public_url=public))


@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss"])
@pytest.mark.parametrize(
    ("origin", "ours"),
    [
        (OURS, True),
        (f"{OURS}:443", True),
        ("https://dashboard.example", True),
        ("http://voxforge.example", False),
        ("http://voxforge.example:8080", False),
        ("http://dashboard.example", False),
    ],
)
def test_behind_a_proxy_that_ends_tls_plain_pages_are_not_ours(
    tmp_path: Path, scheme: str, origin: str, ours: bool
) -> None:
    """What the proxy asks us in is not what the browser asked it in; whoever sits on the line can make such pages."""
    host = origin.rpartition("/")[2]

    assert from_here(tmp_path, origin, scheme=scheme, host=host) is ours


@pytest.mark.parametrize(("scheme", "origin"), [("http", "http"), ("ws", "http"), ("https", "https"), ("wss", "https")])
def test_without_tls_in_the_public_address_it_is_what_was_asked(tmp_path: Path, scheme: str, origin: str) -> None:
    other = {"http": "https", "https": "http"}[origin]
    asked = {"public": "http://127.0.0.1:8000", "scheme": scheme, "host": "lan.example:8000"}

    assert from_here(tmp_path, f"{origin}://lan.example:8000", **asked)
    assert not from_here(tmp_path, f"{other}://lan.example:8000", **asked)


@pytest.mark.parametrize("long", ["\xb4" * 60_000 + ".com", "a." * 20_000, "a" * 293])
def test_what_no_host_can_be_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: str) -> None:
    """An origin has a name of 253 characters at most; IDNA would take the square of it on the event loop."""
    parsed: list[int] = []
    monkeypatch.setattr(session_cookie, "URL", lambda text: parsed.append(len(text)) or URL(text))

    assert not from_here(tmp_path, f"https://{long}", host=long)
    assert max(parsed) <= session_cookie.LONGEST_ORIGIN


def test_the_longest_name_is_one(tmp_path: Path) -> None:
    host = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61]) + ":65535"

    assert from_here(tmp_path, f"https://{host}", host=host)
