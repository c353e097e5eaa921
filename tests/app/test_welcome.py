"""What the first start prints."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from app.welcome import curl_lines, print_welcome
from schema.services.seed import Seed
from tests.support.runtime import settings_for

SEED = Seed(
    workspace_id="cworkspace",
    owner="owner@example.com",
    password="once-only",
    api_key="vf_live_key",
    agent_id="cagent",
    phone_number_id="cnumber",
    phone_number="+15555550199",
    callee="+15555550100",
)


def test_the_lines_are_for_a_shell() -> None:
    place, read = curl_lines(SEED, "http://127.0.0.1:8000")

    assert "\n" not in place + read
    *request, body = shlex.split(place)
    assert request == [
        "curl",
        "-sS",
        "http://127.0.0.1:8000/api/v1/calls",
        "-H",
        "Authorization: Bearer vf_live_key",
        "-H",
        "Content-Type: application/json",
        "-d",
    ]
    assert json.loads(body) == {"agentId": "cagent", "phoneNumberId": "cnumber", "to": "+15555550100"}
    assert shlex.split(read) == [
        "curl",
        "-sS",
        "http://127.0.0.1:8000/api/v1/calls?limit=1",
        "-H",
        "Authorization: Bearer vf_live_key",
    ]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_the_box_can_be_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")

    print_welcome(SEED, settings_for(tmp_path, public_url="https://voice.example.com"), "http://127.0.0.1:8000")

    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("curl ")] == list(curl_lines(SEED, "http://127.0.0.1:8000"))
    assert any(line.startswith("Dashboard  https://voice.example.com/ ") for line in lines)
    assert any(line.startswith("Sign in    owner@example.com ") for line in lines)
    assert any(line.startswith("Password   once-only ") for line in lines)
    assert "API key    vf_live_key" in lines
    assert all(line.isascii() for line in lines[1:-1])
