"""Pages of rows, as every list answers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select

from schema.rules.paging import check_page
from schema.runtime import Reads
from schema.tables.base import Table

T = TypeVar("T", bound=Table)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list; `limit` None means that they are all there is from `offset` on."""

    nodes: list[T]
    total: int
    limit: int | None
    offset: int


async def page(
    tx: Reads, statement: Select[T], *, order: tuple[Any, ...], limit: int | None, offset: int | None
) -> Page[T]:
    """One page in that order. Raises Invalid for bounds outside R7."""
    limit, offset = check_page(limit, offset)
    ordered = statement.order_by(*order)
    if limit is None and not offset:
        nodes = await tx.all(ordered)
        return Page(nodes, len(nodes), limit, offset)
    # SQLite has no OFFSET without a LIMIT.
    nodes = await tx.all(ordered.limit(limit if limit is not None else 2**31 - 1).offset(offset))
    return Page(nodes, await tx.count(statement), limit, offset)


def newest_first(table: Any) -> tuple[Any, ...]:
    """Decision R3."""
    return (table.created_at.desc(), table.id.desc())
