"""Phone numbers in the graph."""

from __future__ import annotations

from typing import Any

import strawberry

from schema.graph.access import reads
from schema.graph.context import Info
from schema.graph.paging import Page
from schema.graph.scalars import DateTime
from schema.rules.scopes import Resource
from schema.services import phone_numbers


@strawberry.type(description="A number that calls are placed from.")
class PhoneNumber:
    id: strawberry.ID
    phone_number: str
    name: str
    carrier: str
    is_active: bool
    created_at: DateTime
    updated_at: DateTime


@strawberry.type
class PhoneNumberQueries:
    @strawberry.field(
        graphql_type=Page[PhoneNumber],
        permission_classes=reads(Resource.PHONE_NUMBERS),
        description="Phone numbers, newest first.",
    )
    async def phone_numbers(self, info: Info, limit: int | None = None, offset: int | None = None) -> Any:
        return await phone_numbers.list_page(info.context.read(), limit=limit, offset=offset)

    @strawberry.field(
        graphql_type=PhoneNumber | None,
        permission_classes=reads(Resource.PHONE_NUMBERS),
        description="One phone number.",
    )
    async def phone_number(self, info: Info, id: strawberry.ID) -> Any:
        return await phone_numbers.get(info.context.read(), id)
