"""`GET /api/v1/openapi.json`: the document, rendered once, for anybody to read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.openapi.documents import document
from app.rest.adapter import Endpoint
from app.rest.routes import PREFIX
from schema.settings import Settings

PATH = f"{PREFIX}/openapi.json"


def openapi_route(settings: Settings, endpoints: Sequence[Endpoint] | None = None) -> Route:
    """The route. Raises DescriptionError for endpoints that cannot be described."""
    body = orjson.dumps(document(settings, endpoints))
    headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "Cache-Control": "public, max-age=300"}

    async def read(request: Request) -> Response:
        if _has(headers["ETag"], request.headers.getlist("if-none-match")):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    return Route(PATH, read, methods=["GET"])


def _has(etag: str, asked: Sequence[str]) -> bool:
    """Whether the caller has this version already, by `If-None-Match`."""
    tags = {tag.strip().removeprefix("W/") for line in asked for tag in line.split(",")}
    return etag in tags or "*" in tags
