"""Phone numbers in the graph."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry import Maybe

from schema.graph.access import reads, writes
from schema.graph.context import Info
from schema.graph.inputs import given
from schema.graph.paging import Page
from schema.graph.scalars import DateTime
from schema.rules.paging import LIMIT
from schema.rules.scopes import Resource
from schema.services import phone_numbers


@strawberry.type(description="A number that calls are placed from.")
class PhoneNumber:
    id: strawberry.ID
    phone_number: str
    name: str
    carrier: str
    is_active: bool
    calls_per_second: int | None = strawberry.field(description="Dials a second from it at most; null: no limit.")
    created_at: DateTime
    updated_at: DateTime


@strawberry.input
class CreatePhoneNumberInput:
    phone_number: str
    name: str
    carrier: Maybe[str]
    calls_per_second: Maybe[int | None]


@strawberry.input
class UpdatePhoneNumberInput:
    name: Maybe[str]
    is_active: Maybe[bool]
    calls_per_second: Maybe[int | None]


@strawberry.type
class PhoneNumberQueries:
    @strawberry.field(
        graphql_type=Page[PhoneNumber],
        permission_classes=reads(Resource.PHONE_NUMBERS),
        description="Phone numbers, newest first.",
    )
    async def phone_numbers(self, info: Info, limit: int | None = LIMIT, offset: int | None = None) -> Any:
        return await phone_numbers.list_page(info.context.read(), limit=limit, offset=offset)

    @strawberry.field(
        graphql_type=PhoneNumber | None,
        permission_classes=reads(Resource.PHONE_NUMBERS),
        description="One phone number.",
    )
    async def phone_number(self, info: Info, id: strawberry.ID) -> Any:
        return await phone_numbers.get(info.context.read(), id)


@strawberry.type
class PhoneNumberMutations:
    @strawberry.mutation(
        graphql_type=PhoneNumber,
        permission_classes=writes(Resource.PHONE_NUMBERS),
        description="Add a number that calls can be placed from.",
    )
    async def create_phone_number(self, info: Info, input: CreatePhoneNumberInput) -> Any:
        async with info.context.write() as tx:
            return await phone_numbers.create(tx, given(input))

    @strawberry.mutation(
        graphql_type=PhoneNumber,
        permission_classes=writes(Resource.PHONE_NUMBERS),
        description="Change the fields sent; the next dial obeys.",
    )
    async def update_phone_number(self, info: Info, id: strawberry.ID, input: UpdatePhoneNumberInput) -> Any:
        async with info.context.write() as tx:
            return await phone_numbers.update(tx, id, given(input))
