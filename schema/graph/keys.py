"""API keys and the workspace itself in the graph."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry import Maybe

from schema.graph.access import reads, writes
from schema.graph.context import Info
from schema.graph.inputs import given
from schema.graph.scalars import DateTime, Plan
from schema.rules.scopes import Resource
from schema.services import keys, workspaces


@strawberry.type(description="A tenant, with the plan that sets its limits.")
class Workspace:
    id: strawberry.ID
    name: str
    plan: Plan
    created_at: DateTime


@strawberry.type(description="An API key; its text is shown when it is made and at no other time.")
class ApiKey:
    id: strawberry.ID
    name: str
    prefix: str
    last_four: str
    expires_at: DateTime | None
    revoked_at: DateTime | None
    last_used_at: DateTime | None
    created_at: DateTime


@strawberry.type(description="A new key, and its text.")
class CreatedApiKey:
    api_key: ApiKey
    key: str


@strawberry.input
class CreateApiKeyInput:
    name: str
    expires_at: Maybe[DateTime | None]


@strawberry.type
class KeyQueries:
    @strawberry.field(graphql_type=Workspace, description="The workspace that the caller belongs to.")
    async def workspace(self, info: Info) -> Any:
        return await workspaces.find(info.context.read(), info.context.viewer.workspace_id)

    @strawberry.field(
        graphql_type=list[ApiKey],
        permission_classes=reads(Resource.API_KEYS),
        description="The workspace's keys, revoked ones too, newest first.",
    )
    async def api_keys(self, info: Info) -> Any:
        return await keys.everything(info.context.read())


@strawberry.type
class KeyMutations:
    @strawberry.mutation(
        graphql_type=CreatedApiKey, permission_classes=writes(Resource.API_KEYS), description="Make a key."
    )
    async def create_api_key(self, info: Info, input: CreateApiKeyInput) -> Any:
        async with info.context.write() as tx:
            row, text = await keys.create(tx, given(input))
        return CreatedApiKey(api_key=row, key=text)  # type: ignore[arg-type]

    @strawberry.mutation(
        graphql_type=ApiKey, permission_classes=writes(Resource.API_KEYS), description="Give a key another name."
    )
    async def rename_api_key(self, info: Info, id: strawberry.ID, name: str) -> Any:
        async with info.context.write() as tx:
            return await keys.rename(tx, id, name)

    @strawberry.mutation(
        graphql_type=ApiKey, permission_classes=writes(Resource.API_KEYS), description="Refuse a key from now on."
    )
    async def revoke_api_key(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.write() as tx:
            return await keys.revoke(tx, id)
