"""The tokens of sessions."""

from __future__ import annotations

import hashlib

import pytest

from schema.rules import sessions


def test_tokens_are_256_random_bits() -> None:
    made = {sessions.new_token() for _ in range(100)}

    assert len(made) == 100
    assert all(sessions.is_well_formed(token) for token in made)
    assert {len(token) for token in made} == {len("vf_session_") + 43}


def test_what_is_stored_is_a_digest() -> None:
    token = sessions.new_token()

    assert sessions.digest(token) == hashlib.sha256(token.encode()).hexdigest()


@pytest.mark.parametrize(
    "token",
    [
        "",
        "vf_session_",
        "vf_session_" + "x" * 42,
        "vf_session_" + "x" * 44,
        "vf_session_" + "é" * 43,
        "vf_session_" + "x" * 42 + "\n",
        "vf_live_" + "x" * 46,
    ],
)
def test_what_cannot_be_a_token(token: str) -> None:
    assert not sessions.is_well_formed(token)


@pytest.mark.parametrize(
    ("sent", "kept"), [(None, None), ("", None), ("\x00\x1b", None), ("Fire\tfox", "Firefox"), ("x" * 500, "x" * 200)]
)
def test_what_is_kept_of_a_browser_s_name(sent: str | None, kept: str | None) -> None:
    assert sessions.shown_agent(sent) == kept
