"""Sessions: how long they last, and what their cookie holds (decision 0011)."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta

IDLE = timedelta(days=7)
"""A session that nobody has used for so long has ended."""
LONGEST = timedelta(days=30)
"""From signing in to the end, however much it is used."""
TOUCH_EVERY = timedelta(minutes=1)
"""How exactly it is known when a session was last used."""
MOST = 50
"""Sessions of one person; signing in once more ends the one that has not been used for longest."""

PREFIX = "vf_session_"
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z_-]{{43}}", re.ASCII)


def new_token() -> str:
    """A new token: `vf_session_` + 256 random bits. It goes into the cookie; store `digest`."""
    return PREFIX + secrets.token_urlsafe(32)


def is_well_formed(token: str) -> bool:
    """Whether it can be a token; what cannot is refused without a query."""
    return _SHAPE.fullmatch(token) is not None


def digest(token: str) -> str:
    """SHA-256 of the token in lower-case hex: what is stored and looked up. It is random, so it needs no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def used_since(now: datetime) -> datetime:
    """A session last used at that instant or before has ended by `now`."""
    return now - IDLE


def shown_agent(user_agent: str | None) -> str | None:
    """What is kept of a browser's name for itself: at most 200 characters that can be printed."""
    return "".join(filter(str.isprintable, user_agent))[:200] or None if user_agent else None
