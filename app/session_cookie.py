"""The cookie of a session, and what a request that comes with one must show: that our own page sent it (0011)."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Scope
from yarl import URL

from schema.errors import Forbidden
from schema.rules.sessions import LONGEST
from schema.settings import Settings

LONGEST_ORIGIN = 300
"""Of scheme, a name of 253 characters and port: what is longer is no origin, and is not parsed."""
ELSEWHERE = "A request with a session must come from the dashboard itself: its Origin is missing, or another site's"


def name(settings: Settings) -> str:
    """`__Host-…` makes browsers insist on HTTPS, this host and no other; on plain HTTP they would not take it."""
    return "__Host-voxforge_session" if _is_https(settings) else "voxforge_session"


def token(scope: Scope, settings: Settings) -> str | None:
    """What the cookie holds. None without one; of two nobody can tell which is ours: they read as a bad token."""
    wanted = name(settings)
    found = []
    for header, value in scope["headers"]:
        if header == b"cookie":
            pairs = (pair.partition("=") for pair in value.decode("latin-1").split(";"))
            found += [held.strip() for key, _, held in pairs if key.strip() == wanted]
    return None if not found else found[0] if len(found) == 1 else ""


def put(response: Response, settings: Settings, token: str) -> None:
    """Give the browser the cookie, for as long as a session may last."""
    response.set_cookie(
        name(settings),
        token,
        max_age=int(LONGEST.total_seconds()),
        path="/",
        secure=_is_https(settings),
        httponly=True,
        samesite="lax",
    )


def clear(response: Response, settings: Settings) -> None:
    """Take the cookie away."""
    response.delete_cookie(name(settings), path="/", secure=_is_https(settings), httponly=True, samesite="lax")


def check_origin(scope: Scope, settings: Settings) -> None:
    """Raises Forbidden unless `Origin` is the public address's or the one that was asked, and no browser disagrees."""
    if not is_from_here(scope, settings):
        raise Forbidden(ELSEWHERE)


def is_from_here(scope: Scope, settings: Settings) -> bool:
    """Whether a browser says that one of our own pages asks; it does not say so when it says nothing."""
    origins = _values(scope, b"origin")
    hosts = _values(scope, b"host")
    # A page's origin is http(s), also when it opens a WebSocket. A proxy that ends TLS asks us without: then the scheme
    # of the request says nothing of the page, and on the plain address of the same name anybody on the way can be it.
    scheme = "https" if _is_https(settings) else scope["scheme"].replace("ws", "http")
    ours = {_origin(settings.public_base)} | {_origin(f"{scheme}://{host}") for host in hosts[:1]}
    theirs = _origin(origins[0]) if len(origins) == 1 else None
    return theirs is not None and theirs in ours and "cross-site" not in _values(scope, b"sec-fetch-site")


def _is_https(settings: Settings) -> bool:
    return settings.public_base.startswith("https://")


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for header, value in scope["headers"] if header == wanted]


def _origin(text: str) -> str | None:
    """Scheme, host and port in one spelling; None for what has no such three: `null`, a path alone."""
    if len(text) > LONGEST_ORIGIN:
        return None
    try:
        url = URL(text)
        return str(url.origin()) if url.absolute and url.scheme in {"http", "https", "ws", "wss"} else None
    except ValueError:
        return None
