"""Asking the graph as a caller does: what came of it, with errors as they are presented."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from schema.graph.context import Context
from schema.graph.errors import present
from schema.graph.root import schema
from schema.runtime import Runtime, Viewer

Ask = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def ask(runtime: Runtime, viewer: Viewer) -> Ask:
    """The answer to a document: `data`, and `errors` if there are any; `as_` says who asks."""

    async def ask(text: str, *, as_: Viewer | None = viewer, **variables: Any) -> dict[str, Any]:
        context = Context(runtime, as_, "req-1")
        result = await schema.execute(text, variable_values=variables, context_value=context)
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [present(error, "req-1").formatted for error in result.errors]
        return answer

    return ask
