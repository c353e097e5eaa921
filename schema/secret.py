"""The server's own secret, made once and kept in the data directory: it signs links."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

_BYTES = 32


def load_secret(data: Path) -> bytes:
    """The secret of that data directory; the first process to ask makes it (mode 0600)."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = data / "secret.key"
    if not path.exists():
        # Written aside and linked, so that of two processes that start together both read the same, whole file.
        mine = path.with_name(f".secret.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(mine, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(mine, path)
        mine.unlink()
    return path.read_bytes()
