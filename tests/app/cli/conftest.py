"""Fixtures: a directory to be in, without settings from outside; logging as it was before."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from schema.settings import PREFIX
from tests.app.cli.support import voxforge


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: its own, with no `.env`, and no setting in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture(autouse=True)
def own_process() -> Iterator[None]:
    """Commands take the process's log and signals; put them back."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    root.handlers[:] = kept
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture
def migrated(elsewhere: Path, migrated_file: Path) -> Path:
    """The data directory `./var` with an empty database."""
    data = elsewhere / "var"
    data.mkdir(mode=0o700)
    (data / "voxforge.db").write_bytes(migrated_file.read_bytes())
    return data


@pytest.fixture
def workspace(migrated: Path) -> str:
    """The id of the only workspace."""
    return voxforge("workspaces", "create", "--name", "Acme", "--plan", "professional").stdout.strip()
