"""Pages, as every list field answers them."""

from __future__ import annotations

from typing import Generic, TypeVar

import strawberry

T = TypeVar("T")


@strawberry.type(description="Some rows of a list.")
class Page(Generic[T]):
    nodes: list[T]
    total: int = strawberry.field(description="How many rows there are in all.")
    limit: int | None = strawberry.field(description="The limit asked for; null when everything was.")
    offset: int
