"""Errors on their way out: a domain error keeps its sentence and gets its code, everything else is masked."""

from __future__ import annotations

from typing import Any

import structlog
from graphql import GraphQLError

from schema.errors import DomainError, ErrorCode

log = structlog.get_logger("voxforge.graph")


def present(error: GraphQLError, request_id: str) -> GraphQLError:
    """The error as a caller may see it: `extensions.code` is one of the document's seven (decision E2).

    What the caller did wrong keeps its sentence; what we did wrong is logged, and the caller gets the request's id.
    """
    original = error.original_error
    while isinstance(original, GraphQLError):
        original = original.original_error
    if isinstance(original, DomainError):
        message, code = original.message, original.code
    elif original is None or isinstance(original, GraphQLError):
        message, code = error.message, ErrorCode.BAD_REQUEST  # the document or its variables do not fit the schema
    else:
        log.error("resolver failed", path=error.path, exc_info=original)
        message, code = f"Something went wrong on our end (request {request_id})", ErrorCode.INTERNAL_ERROR
    extensions: dict[str, Any] = {"code": code.value}
    retry_after = getattr(original, "retry_after_s", None)
    if retry_after is not None:
        extensions["retryAfter"] = retry_after
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
