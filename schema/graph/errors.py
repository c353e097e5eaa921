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
    original = _cause(error)
    if _is_of_the_request(error, original):
        message, code = error.message, ErrorCode.BAD_REQUEST
    elif isinstance(original, DomainError):
        message, code = original.message, original.code
    else:
        log.error("resolver failed", path=error.path, error=error.message, exc_info=original)
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


def _cause(error: GraphQLError) -> Exception | None:
    """What was raised, when it was not an error of GraphQL's own."""
    original = error.original_error
    while isinstance(original, GraphQLError):
        original = original.original_error
    return original


def _is_of_the_request(error: GraphQLError, cause: Exception | None) -> bool:
    """Whether the document, its variables or an argument do not fit the schema, which GraphQL itself says best.

    Such an error has no path, for nothing ran, or it is about an argument. Without a place in the document either,
    it is no error of GraphQL's but something of ours that was raised.
    """
    if error.path is not None:
        return cause is None and error.message.startswith("Argument '")
    return cause is None or bool(error.locations)
