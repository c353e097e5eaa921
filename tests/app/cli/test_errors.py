"""What goes wrong is said in one sentence, and changes nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.app.cli.support import voxforge

READING = [
    ("keys", "list"),
    ("keys", "create", "--name", "CRM"),
    ("keys", "revoke", "c0"),
    ("workspaces", "list"),
    ("workspaces", "set-plan", "c0", "starter"),
    ("users", "list"),
    ("users", "create", "ada@example.com"),
    ("users", "remove", "ada@example.com"),
    ("users", "reset-password", "ada@example.com"),
    ("contacts", "import", "/dev/null"),
    ("serve", "--port", "0"),
    ("work",),
]


@pytest.mark.parametrize("command", READING)
def test_without_a_database(elsewhere: Path, command: tuple[str, ...]) -> None:
    result = voxforge(*command)

    file = elsewhere / "var" / "voxforge.db"
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"There is no database at {file}. Run voxforge up or voxforge migrate first\n"
    assert not file.parent.exists()


@pytest.mark.parametrize("command", READING)
def test_with_an_empty_database(elsewhere: Path, command: tuple[str, ...]) -> None:
    (elsewhere / "var").mkdir()
    sqlite3.connect(elsewhere / "var" / "voxforge.db").close()
    (elsewhere / "var" / "voxforge.db").touch()

    result = voxforge(*command)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("The database is ")
    assert result.stderr.endswith(". Run voxforge up or voxforge migrate first\n")
    assert result.stderr.count("\n") == 1


def test_with_a_file_that_is_no_database(elsewhere: Path) -> None:
    (elsewhere / "var").mkdir()
    (elsewhere / "var" / "voxforge.db").write_text("this is not SQLite" * 100)

    result = voxforge("keys", "list")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "The database cannot be used: file is not a database\n"


def test_the_data_directory_is_chosen_by_option_or_variable(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert voxforge("migrate", "--data", "one").exit_code == 0
    monkeypatch.setenv("VOXFORGE_DATA", "two")
    assert voxforge("migrate").exit_code == 0

    assert (elsewhere / "one" / "voxforge.db").exists()
    assert (elsewhere / "two" / "voxforge.db").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("keys", "list"),
        ("workspaces", "list"),
        ("users", "list"),
        ("migrate",),
        ("doctor",),
        ("serve", "--port", "0"),
        ("work",),
        ("up",),
    ],
)
def test_a_wrong_setting_stops_every_command(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("VOXFORGE_WEBHOOK_TIMEOUT", "soon")

    result = voxforge(*command)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "VOXFORGE_WEBHOOK_TIMEOUT must be a number\n"
    assert not (elsewhere / "var").exists()


@pytest.mark.parametrize("command", [("keys", "create"), ("keys", "mint"), ("work", "--processes", "0"), ("up", "x")])
def test_a_usage_error_is_status_2(command: tuple[str, ...]) -> None:
    result = voxforge(*command)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")


def test_a_data_directory_that_cannot_be_made(elsewhere: Path) -> None:
    (elsewhere / "file").touch()

    result = voxforge("migrate", "--data", "file/var")

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "file/var: Not a directory\n")


def test_a_database_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXFORGE_DATABASE_URL", "postgresql://ada:hunter2@127.0.0.1:9/voxforge")

    result = voxforge("keys", "list")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("The database cannot be used: ")
    assert result.stderr.count("\n") == 1
    assert "hunter2" not in result.stderr


def test_migrate_says_what_it_did() -> None:
    first = voxforge("migrate")
    second = voxforge("migrate")

    assert first.stdout.startswith("Migrated to ")
    assert second.stdout.startswith("The database is up to date (")
