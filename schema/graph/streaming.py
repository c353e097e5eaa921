"""Any operation as a stream of answers: one of a query or mutation, as many of a subscription as there is to tell."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError
from strawberry.types.execution import ExecutionResult, PreExecutionError

from schema.graph.context import Context
from schema.graph.root import schema


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """One answer, its errors not yet presented. `is_refusal`: the operation ended, or never began, because of them."""

    data: Any
    errors: Sequence[GraphQLError]
    is_refusal: bool


async def answers(
    query: str, variables: Mapping[str, Any] | None, operation_name: str | None, context: Context, *, values: int
) -> AsyncGenerator[StreamedAnswer, None]:
    """Run an operation that has been checked. Each answer reads rows anew and may hold `values` values.

    An answer like the one before it is not told again, unless it tells of another thing (`Context.tells_all`).
    """
    context.begin_answer(values)
    stream = await schema.stream(
        query,
        variable_values=dict(variables) if variables is not None else None,
        operation_name=operation_name,
        context_value=context,
    )
    told: Any = None
    async with aclosing(stream):
        async for result in stream:
            assert isinstance(result, ExecutionResult | PreExecutionError)  # noqa: S101 (the schema has no @defer)
            if context.tells_all or result.errors or result.data != told:  # else what has changed was not asked for
                yield StreamedAnswer(result.data, result.errors or (), _is_refusal(result))
            told = result.data
            context.begin_answer(values)


def _is_refusal(result: ExecutionResult | PreExecutionError) -> bool:
    """Whether nothing ran, or what was subscribed to raised: such errors are of no field."""
    if isinstance(result, PreExecutionError):
        return True
    return result.data is None and all(error.path is None for error in result.errors or ())
