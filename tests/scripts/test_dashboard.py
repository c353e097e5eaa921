"""The dashboard is built when its sources have changed, and an API without one starts all the same."""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent

NPM = """#!/bin/sh
echo "$@" >> "$CALLS"
[ -e "$OFFLINE" ] && { echo "npm error code ECONNREFUSED"; echo "npm error request failed, reason: refused"; exit 1; }
mkdir -p node_modules/.bin && : > node_modules/.bin/vite
"""
NODE = """#!/bin/sh
[ "$1" = --version ] && { echo v20.19.0; exit; }
echo "build" >> "$CALLS"
[ -e "$BROKEN" ] && { echo "a semicolon is missing"; exit 1; }
mkdir -p "$VOXFORGE_STATIC" && cp index.html "$VOXFORGE_STATIC"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one page, a Node that copies it, and an npm that can be offline."""
    for folder in ("app/ui", "venv", "bin", "schema"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "app/ui/index.html").write_text("one")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        (tmp_path / "app/ui" / name).write_text("")
    for name, text in (("npm", NPM), ("node", NODE)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    for name in ("CALLS", "OFFLINE", "BROKEN"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    return tmp_path


@pytest.fixture
def dashboard(place: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, at work in that repository."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    module = importlib.import_module("dashboard")
    monkeypatch.setattr(module.environment, "ROOT", str(place))
    monkeypatch.setattr(module.environment, "VENV", str(place / "venv"))
    ui = place / "app/ui"
    monkeypatch.setattr(module, "UI", str(ui))
    monkeypatch.setattr(module, "STATIC", str(place / "app/static"))
    monkeypatch.setattr(module, "MODULES", str(ui / "node_modules"))
    monkeypatch.setattr(module, "PACKAGES", [str(ui / name) for name in ("package.json", "package-lock.json")])
    return module


def calls(place: Path) -> list[str]:
    """What was run: npm with its arguments, and builds."""
    log = place / "calls"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def test_it_is_built_once_and_again_when_a_source_changes(place: Path, dashboard: ModuleType) -> None:
    assert [dashboard.build(), dashboard.build()] == [True, True]
    assert calls(place) == ["ci", "build"]

    (place / "app/ui/index.html").write_text("two")

    assert dashboard.build() is True
    assert calls(place) == ["ci", "build", "build"]
    assert (place / "app/static/index.html").read_text() == "two"


def test_new_packages_are_installed_before_it_is_built(place: Path, dashboard: ModuleType) -> None:
    dashboard.build()
    (place / "app/ui/package-lock.json").write_text("{}")

    dashboard.build()

    assert calls(place) == ["ci", "build", "ci", "build"]


def test_without_a_registry_it_is_said_once_and_nothing_stops(
    place: Path, dashboard: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "offline").touch()

    assert dashboard.build() is False
    said = capsys.readouterr().err
    assert dashboard.build() is False

    assert "The dashboard could not be built, so the server shows a plain page at /. The API is complete." in said
    assert "npm ci: request failed, reason: refused" in said
    assert capsys.readouterr().err == ""
    assert calls(place) == ["ci"]
    assert not (place / "app/static").exists()


def test_it_is_tried_again_when_asked_to_and_after_an_hour(place: Path, dashboard: ModuleType) -> None:
    (place / "offline").touch()
    dashboard.build()

    dashboard.build(again=True)
    before = (place / "venv/.dashboard-failed").stat().st_mtime - dashboard.RETRY_S - 1
    os.utime(place / "venv/.dashboard-failed", (before, before))
    dashboard.build()

    assert calls(place) == ["ci", "ci", "ci"]


def test_a_build_that_fails_takes_the_older_one_away(
    place: Path, dashboard: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    dashboard.build()
    (place / "app/ui/index.html").write_text("two")
    (place / "broken").touch()

    assert dashboard.build() is False

    assert "a semicolon is missing" in capsys.readouterr().err
    assert not (place / "app/static").exists()


@pytest.mark.parametrize(("said", "version"), [("v20.19.2", (20, 19)), ("v18.3.0", (18, 3)), ("what?", ())])
def test_the_version_of_node_is_read(place: Path, dashboard: ModuleType, said: str, version: tuple[int, ...]) -> None:
    (place / "bin/node").write_text(f"#!/bin/sh\necho '{said}'\n")

    assert dashboard._version(str(place / "bin/node")) == version


def test_the_lock_of_the_packages_holds_no_address_of_a_registry() -> None:
    locked = (ROOT / "app/ui/package-lock.json").read_text()

    assert '"resolved"' not in locked
    assert "registry" not in locked
    assert "http" not in (ROOT / "app/ui/node.lock").read_text()


def test_every_package_is_pinned() -> None:
    package = (ROOT / "app/ui/package.json").read_text()

    pinned = re.findall(r'"[@a-z.][\w@/.-]*": "(\^|~|>|\*)', package.partition('"dependencies"')[2])
    assert pinned == []
