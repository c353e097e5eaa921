"""`/recordings/{name}`: what a recording's link leads to, whole or in ranges, as players ask for it (decision L3)."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from schema.runtime import Runtime
from schema.services import recordings

_MEDIA_TYPES = {".mp3": "audio/mpeg", ".wav": "audio/wav"}
_RANGE = re.compile(
    r"\s*bytes\s*=\s*(?:(?P<start>[0-9]{1,15})-(?P<end>[0-9]{0,15})|-(?P<last>[0-9]{1,15}))\s*", re.ASCII
)
_HEADERS = {
    "Cache-Control": "private, max-age=3600",
    "Content-Disposition": "inline",
    "X-Content-Type-Options": "nosniff",
}


def recording_routes(runtime: Runtime) -> list[Route]:
    """The route; the link's signature is its authentication."""

    async def recording(request: Request) -> Response:
        query = request.query_params
        name = request.path_params["name"]
        path = recordings.open_link(runtime, name, query.get("expires", ""), query.get("signature", ""))
        _check_range(request, path)
        return FileResponse(path, headers=_HEADERS, media_type=_MEDIA_TYPES[path.suffix])

    return [Route("/recordings/{name}", recording)]


def _check_range(request: Request, path: Path) -> None:
    """Leave the request's `Range` to Starlette only if it is one range that the file has.

    Any other is ignored, as RFC 9110 allows, but one beyond the end raises HTTPException 416: Starlette's own refusals
    are not in the envelope (decision E1).
    """
    asked = request.headers.get("range")
    if asked is None:
        return
    match = _RANGE.fullmatch(asked)
    if match is not None:
        size = path.stat().st_size
        start = max(size - int(match["last"]), 0) if match["last"] else int(match["start"])
        end = int(match["end"]) if match["end"] else size
        if start < size and start <= end and match["last"] != "0":
            return
        if start <= end and "if-range" not in request.headers:
            raise HTTPException(416, "The recording has no such range", {"Content-Range": f"bytes */{size}"})
    request.scope["headers"] = [header for header in request.scope["headers"] if header[0] != b"range"]
