"""The dashboard: `/` and its deep links, and the assets that it is made of; without one, a plain page at `/`.

`scripts/dashboard.py` builds `app/ui` into `app/static`. Whatever is served here comes from this server and makes the
browser load nothing from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.plain_page import CONTENT_SECURITY_POLICY as PLAIN_POLICY
from app.plain_page import plain_page
from schema.settings import Settings

STATIC = Path(__file__).parent / "static"
"""Where the build puts it: `index.html`, and files with a hash in their names under `assets`."""

PAGES = (
    "agents",
    "appointments",
    "calls",
    "campaigns",
    "contacts",
    "do-not-call",
    "integrations",
    "phone-numbers",
    "settings",
)
"""What the dashboard's addresses begin with; `app/ui/src/app.tsx` knows what follows."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing evaluated, nothing off this origin."""

_EVERYWHERE = {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
_FOREVER = {**_EVERYWHERE, "Cache-Control": "public, max-age=31536000, immutable"}
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_SUFFIXES = {"br": ".br", "gzip": ".gz"}  # as the build writes them, the smallest first


@dataclass(frozen=True, slots=True)
class _Asset:
    """A file of the build; `bodies` by content coding, `identity` for the file as it is."""

    media_type: str
    bodies: Mapping[str, bytes]

    def answer(self, request: Request, headers: Mapping[str, str]) -> Response:
        accepted = _accepted(request.headers.getlist("accept-encoding"))
        coding = next((coding for coding in _SUFFIXES if coding in accepted and coding in self.bodies), "identity")
        sent = {**headers, "Vary": "Accept-Encoding"}
        if coding != "identity":
            sent["Content-Encoding"] = coding
        return Response(self.bodies[coding], headers=sent, media_type=self.media_type)


def page_routes(settings: Settings, static: Path = STATIC) -> list[Route]:
    """The routes of what is built in `static` when this is called, or of the plain page."""
    try:
        index, assets = _read(static, (static / "index.html").stat().st_mtime_ns)
    except FileNotFoundError:
        return [_plain(settings)]

    async def page(request: Request) -> Response:
        return index.answer(request, _page_headers(CONTENT_SECURITY_POLICY))

    async def asset(request: Request) -> Response:
        found = assets.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        return found.answer(request, _FOREVER)

    deep = [path for name in PAGES for path in (f"/{name}", f"/{name}/{{below:path}}")]
    return [Route("/assets/{name}", asset), *(Route(path, page) for path in ["/", *deep])]


def is_built(static: Path = STATIC) -> bool:
    """Whether there is a dashboard to serve."""
    return (static / "index.html").is_file()


def _plain(settings: Settings) -> Route:
    text = plain_page(settings)

    async def index(_request: Request) -> Response:
        return HTMLResponse(text, headers=_page_headers(PLAIN_POLICY))

    return Route("/", index)


def _page_headers(policy: str) -> dict[str, str]:
    return {**_EVERYWHERE, "Cache-Control": "no-cache", "Content-Security-Policy": policy}


@lru_cache(maxsize=4)
def _read(static: Path, _modified: int) -> tuple[_Asset, Mapping[str, _Asset]]:
    """The page and the assets by name, from the disk once: what is asked for is looked up, never made into a path."""
    names = [path for path in (static / "assets").iterdir() if path.suffix in _MEDIA_TYPES]
    return _asset(static / "index.html"), {path.name: _asset(path) for path in names}


def _asset(path: Path) -> _Asset:
    bodies = {"identity": path.read_bytes()}
    for coding, suffix in _SUFFIXES.items():
        packed = path.with_name(path.name + suffix)
        if packed.is_file():
            bodies[coding] = packed.read_bytes()
    return _Asset(_MEDIA_TYPES[path.suffix], bodies)


def _accepted(headers: Iterable[str]) -> set[str]:
    """The content codings that a client takes: those it names, without those it weighs at nothing."""
    accepted = set()
    for part in ",".join(headers).split(","):
        coding, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [parameter[2:].strip() for parameter in parameters if parameter.startswith("q=")]
        if not any(_is_nothing(weight) for weight in weights):
            accepted.add(coding)
    return accepted


def _is_nothing(weight: str) -> bool:
    return not weight.strip("0.")
