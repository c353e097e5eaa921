"""`voxforge doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.app.cli.support import listing, voxforge


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXFORGE_PORT", "9")


def test_nothing_is_broken(migrated: Path) -> None:
    result = voxforge("doctor")

    assert result.exit_code == 0, result.stdout
    assert result.stdout.endswith("\nNothing is broken.\n")
    assert "VOXFORGE_PORT                    9\n" in result.stdout
    assert "VOXFORGE_WEBHOOK_TIMEOUT         10  (default)\n" in result.stdout


def test_as_json(migrated: Path) -> None:
    found = listing("doctor")

    assert found["ok"] is True
    assert {check["part"] for check in found["checks"]} == {
        "python",
        "settings",
        "data",
        "disk",
        "clock",
        "database",
        "migrations",
        "queue",
        "redis",
        "server",
        "llm",
        "speech",
    }
    assert all(list(check) == ["part", "level", "says", "remedy"] for check in found["checks"])
    assert found["settings"]["VOXFORGE_PORT"] == "9"


def test_before_the_first_start(elsewhere: Path) -> None:
    result = voxforge("doctor", "--json")

    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["ok"] is False
    assert {check["part"] for check in found["checks"] if check["level"] == "problem"} == {"data", "database"}
    assert not (elsewhere / "var").exists()


def test_what_is_broken_is_said_in_words(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXFORGE_REDIS_URL", "redis://:hunter2@127.0.0.1:9/0")

    result = voxforge("doctor")

    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("problem")]
    assert line.endswith("Redis cannot be reached: ConnectionError. Start it, or correct VOXFORGE_REDIS_URL")
    assert result.stdout.endswith("\n1 problem.\n")
    assert "hunter2" not in result.output
