"""Recordings: where they are kept, and links to them that are unguessable and expire (decision L3)."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

from schema.errors import NotFound
from schema.runtime import Runtime
from schema.settings import Settings
from schema.tables import Call

LIFETIME_S = 24 * 3600
_NAME = re.compile(r"[0-9a-z]{25}\.(mp3|wav)")


def directory(settings: Settings) -> Path:
    """Where recordings are kept; made if need be."""
    path = settings.data / "recordings"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def link(runtime: Runtime, call: Call) -> str | None:
    """An absolute link to the call's recording, good for 24 to 25 hours; None when nothing was recorded."""
    if call.recording is None:
        return None
    # Rounded to the hour, so that a page read twice shows the same link and a browser's cache is of use.
    expires = (int(runtime.clock.now().timestamp()) // 3600 + 1) * 3600 + LIFETIME_S
    signature = _signature(runtime.secret, call.recording, expires)
    return f"{runtime.settings.public_base}/recordings/{call.recording}?expires={expires}&signature={signature}"


def open_link(runtime: Runtime, name: str, expires: str, signature: str) -> Path:
    """The file that a link leads to. Raises NotFound when the link is not ours or has expired, or its file is gone."""
    refusal = NotFound("This recording link is not valid, or has expired")
    if not _NAME.fullmatch(name) or not re.fullmatch(r"[0-9]{1,12}", expires):
        raise refusal
    if not hmac.compare_digest(_signature(runtime.secret, name, int(expires)).encode(), signature.encode()):
        raise refusal
    if int(expires) <= runtime.clock.now().timestamp():
        raise refusal
    path = directory(runtime.settings) / name
    if not path.is_file():
        raise refusal
    return path


def _signature(secret: bytes, name: str, expires: int) -> str:
    return hmac.new(secret, f"recording:{name}:{expires}".encode(), hashlib.sha256).hexdigest()
