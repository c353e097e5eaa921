"""What may not be in a log: keys, secrets, passwords, whoever logs them and however deep they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

HIDDEN = "[redacted]"

# Every repetition before a fixed text is bounded, so that no text takes more than linear time.
_SHAPES = re.compile(
    r"(?P<key>vf_live_)[A-Za-z0-9]+"
    r"|(?P<secret>whsec_)[A-Za-z0-9+/=_-]+"
    r"|(?P<session>vf_session_)[A-Za-z0-9_-]+"
    # scheme://user:password@host
    r"|(?P<url>\b[a-z][a-z0-9+.-]{0,30}://[^\s:/?#@]{0,100}:)\S{1,300}(?=@)"
    # Bearer …, Basic … (the word "basic" before an ordinary one is not that)
    r"|(?P<scheme>\b(?:bearer|basic(?=\s+\S*(?-i:[A-Z0-9+/=])))\s+)[^\s'\"\\,]{6,}"
    # password=…, "api_key": "…", Authorization: …
    r"|(?P<named>\b(?:[a-z0-9_-]{0,30}(?:password|passwd|secret|api[_-]?key|access[_-]?token)|authorization)"
    r"\\?['\"]?\s*[:=]\s*\\?)(?:(?:bearer|basic|digest|token)\s+)?(?:'[^']*'|\"[^\"]*\"|[^\s,;&)}\]'\"]+)",
    re.IGNORECASE,
)
_HINTS = (
    "vf_live_",
    "whsec_",
    "vf_session_",
    "://",
    "bearer",
    "basic",
    "passw",
    "secret",
    "key",
    "token",
    "authorization",
)
"""Text in lower case without any of these has nothing to hide: a look that is ten times cheaper than the search."""
_NAMES = re.compile(
    r"authorization|cookie|password|passwd|secret|token|api[_-]?key|signature|credential|dsn|database_url|redis_url",
    re.IGNORECASE,
)


def redact_text(text: str) -> str:
    """The text without anything shaped like a key, a signing secret, a credential or a URL's password."""
    lower = text.lower()
    return _SHAPES.sub(_hide, text) if any(hint in lower for hint in _HINTS) else text


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor, to be after those that make text of exceptions and before the renderer."""
    return {name: _redact_named(name, value) for name, value in event.items()}


def _redact_named(name: object, value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):  # `tokens=12` is a count
        return value
    return HIDDEN if isinstance(name, str) and _is_secret(name) else _redact(value)


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _NAMES.search(name) is not None


def _redact(value: object) -> object:
    """The value as plain data: what is not is logged as its `repr`, which is text that can be searched."""
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {redact_text(str(name)): _redact_named(name, held) for name, held in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redact(held) for held in value]
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    return redact_text(repr(value))


def _hide(match: re.Match[str]) -> str:
    kept = match.group(match.lastgroup) if match.lastgroup else ""
    return f"{kept}{HIDDEN}"
