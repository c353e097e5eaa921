"""Contacts and the do-not-call list in the graph."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry import Maybe

from schema.graph.access import reads, writes
from schema.graph.context import Info
from schema.graph.inputs import given
from schema.graph.paging import Page
from schema.graph.scalars import DateTime, DoNotCallSource, JSONObject
from schema.rules.paging import CONTACTS_LIMIT, LIMIT
from schema.rules.scopes import Resource
from schema.services import contacts, do_not_call


@strawberry.type(description="Somebody who can be called.")
class Contact:
    id: strawberry.ID
    phone_number: str = strawberry.field(description="E.164; stands once in a workspace.")
    name: str | None
    email: str | None
    timezone: str | None
    notes: str | None
    custom_fields: JSONObject
    created_at: DateTime
    updated_at: DateTime


@strawberry.type(description="A number that is never dialed.")
class DoNotCallEntry:
    id: strawberry.ID
    phone_number: str
    reason: str | None
    source: DoNotCallSource
    call_id: strawberry.ID | None
    created_at: DateTime


@strawberry.input
class CreateContactInput:
    phone_number: str
    name: Maybe[str | None]
    email: Maybe[str | None]
    timezone: Maybe[str | None]
    notes: Maybe[str | None]
    custom_fields: Maybe[JSONObject]


@strawberry.input
class UpdateContactInput:
    phone_number: Maybe[str]
    name: Maybe[str | None]
    email: Maybe[str | None]
    timezone: Maybe[str | None]
    notes: Maybe[str | None]
    custom_fields: Maybe[JSONObject]


@strawberry.input
class AddDoNotCallInput:
    phone_number: str
    reason: Maybe[str | None]


@strawberry.type
class ContactQueries:
    @strawberry.field(
        graphql_type=Page[Contact],
        permission_classes=reads(Resource.CONTACTS),
        description="Contacts, newest first, a hundred at a time unless told.",
    )
    async def contacts(
        self, info: Info, limit: int = CONTACTS_LIMIT, offset: int | None = None, phone_number: str | None = None
    ) -> Any:
        return await contacts.list_page(info.context.read(), limit=limit, offset=offset, phone_number=phone_number)

    @strawberry.field(
        graphql_type=Contact | None, permission_classes=reads(Resource.CONTACTS), description="One contact."
    )
    async def contact(self, info: Info, id: strawberry.ID) -> Any:
        return await contacts.get(info.context.read(), id)

    @strawberry.field(
        graphql_type=Page[DoNotCallEntry],
        permission_classes=reads(Resource.CONTACTS),
        description="The do-not-call list, newest first.",
    )
    async def do_not_call(self, info: Info, limit: int | None = LIMIT, offset: int | None = None) -> Any:
        return await do_not_call.list_page(info.context.read(), limit=limit, offset=offset)

    @strawberry.field(
        graphql_type=DoNotCallEntry | None,
        permission_classes=reads(Resource.CONTACTS),
        description="One entry of the list.",
    )
    async def do_not_call_entry(self, info: Info, id: strawberry.ID) -> Any:
        return await do_not_call.get(info.context.read(), id)


@strawberry.type
class ContactMutations:
    @strawberry.mutation(
        graphql_type=Contact, permission_classes=writes(Resource.CONTACTS), description="Make a contact."
    )
    async def create_contact(self, info: Info, input: CreateContactInput) -> Any:
        async with info.context.write() as tx:
            return await contacts.create(tx, given(input))

    @strawberry.mutation(
        graphql_type=Contact, permission_classes=writes(Resource.CONTACTS), description="Change the fields sent."
    )
    async def update_contact(self, info: Info, id: strawberry.ID, input: UpdateContactInput) -> Any:
        async with info.context.write() as tx:
            return await contacts.update(tx, id, given(input))

    @strawberry.mutation(
        permission_classes=writes(Resource.CONTACTS),
        description="Delete a contact; its calls and appointments stay readable. Answers the id.",
    )
    async def delete_contact(self, info: Info, id: strawberry.ID) -> strawberry.ID:
        async with info.context.write() as tx:
            return strawberry.ID(await contacts.delete(tx, id))

    @strawberry.mutation(
        graphql_type=DoNotCallEntry,
        permission_classes=writes(Resource.CONTACTS),
        description="Put a number on the do-not-call list.",
    )
    async def add_do_not_call(self, info: Info, input: AddDoNotCallInput) -> Any:
        async with info.context.write() as tx:
            return await do_not_call.add(tx, given(input))

    @strawberry.mutation(
        permission_classes=writes(Resource.CONTACTS), description="Take a number off the list. Answers the id."
    )
    async def remove_do_not_call(self, info: Info, id: strawberry.ID) -> strawberry.ID:
        async with info.context.write() as tx:
            return strawberry.ID(await do_not_call.remove(tx, id))
