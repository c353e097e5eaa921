"""The server's own secret: made once, whoever asks first, and for nobody else's eyes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from schema.secret import load_secret


def test_the_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    first = load_secret(tmp_path / "data")

    assert load_secret(tmp_path / "data") == first
    assert len(first) == 32
    assert load_secret(tmp_path / "other") != first


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        load_secret(tmp_path / "data")
    finally:
        os.umask(before)

    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]


def test_those_who_start_together_read_the_same(tmp_path: Path) -> None:
    """Whole processes do so in `test_migrations.py`."""
    for attempt in range(10):
        data = tmp_path / str(attempt)
        together = threading.Barrier(4)
        read: list[bytes] = []

        def load(data: Path = data, together: threading.Barrier = together, read: list[bytes] = read) -> None:
            together.wait(30)
            read.append(load_secret(data))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert read == [load_secret(data)] * 4
        assert [path.name for path in data.iterdir()] == ["secret.key"]
