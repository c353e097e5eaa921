"""What is found of the machine."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.doctor import machine
from app.doctor.findings import Level
from schema.secret import load_secret

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("version", "level"), [((3, 10), Level.PROBLEM), ((3, 11), Level.OK), ((3, 13), Level.OK), ((3, 15), Level.NOTE)]
)
def test_python(version: tuple[int, int], level: Level) -> None:
    assert machine.python(version).level is level


def test_a_data_directory_that_is_well(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    load_secret(tmp_path)
    (tmp_path / "voxforge.db").touch(0o644)  # in a directory that is shut

    assert [found.level for found in machine.data_directory(tmp_path)] == [Level.OK]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".doctor")] == []


def test_a_data_directory_that_is_not_there(tmp_path: Path) -> None:
    (found,) = machine.data_directory(tmp_path / "var")

    assert found.level is Level.PROBLEM
    assert found.remedy == "Run voxforge up or voxforge migrate"
    assert not (tmp_path / "var").exists()


def test_a_data_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    (found,) = machine.data_directory(tmp_path / "file")

    assert found.level is Level.PROBLEM
    assert found.says == f"{tmp_path / 'file'} cannot be written: Not a directory"


def test_a_secret_that_others_can_read(tmp_path: Path) -> None:
    load_secret(tmp_path)
    (tmp_path / "secret.key").chmod(0o640)

    assert [found.remedy for found in machine.data_directory(tmp_path) if found.level is Level.PROBLEM] == [
        f"chmod 600 {tmp_path / 'secret.key'}"
    ]


def test_a_database_that_others_can_read(tmp_path: Path) -> None:
    (tmp_path / "voxforge.db").touch()
    (tmp_path / "voxforge.db").chmod(0o644)
    tmp_path.chmod(0o755)

    assert [found.remedy for found in machine.data_directory(tmp_path) if found.level is Level.NOTE] == [
        f"chmod 700 {tmp_path}"
    ]


@pytest.mark.parametrize(("free_mib", "level"), [(50, Level.PROBLEM), (500, Level.NOTE), (5_000, Level.OK)])
def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mib: int, level: Level) -> None:
    usage: Any = shutil.disk_usage(tmp_path)._replace(free=free_mib * 1024**2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    assert machine.disk(tmp_path / "not" / "yet").level is level


def test_clock() -> None:
    assert machine.clock(NOW).level is Level.OK
    assert machine.clock(datetime(1970, 1, 1, tzinfo=UTC)).level is Level.PROBLEM


@pytest.mark.parametrize(
    ("ahead_s", "level"), [(0, None), (2, None), (-2, None), (5, Level.NOTE), (-5, Level.NOTE), (60, Level.PROBLEM)]
)
def test_another_clock(ahead_s: int, level: Level | None) -> None:
    found = machine.clock_against("PostgreSQL", NOW + timedelta(seconds=ahead_s), NOW)

    assert (found.level if found else None) is level


def test_which_way_another_clock_differs() -> None:
    found = machine.clock_against("Redis", NOW - timedelta(seconds=5), NOW)

    assert found is not None
    assert found.says == "This clock is 5 s behind Redis's"


@pytest.mark.parametrize(("there", "level"), [({"espeak-ng"}, Level.OK), ({"espeak"}, Level.OK), (set(), Level.NOTE)])
def test_speech(monkeypatch: pytest.MonkeyPatch, there: set[str], level: Level) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in there else None)

    assert machine.speech().level is level
