"""API keys and the workspace itself in the graph."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry import Maybe

from schema.graph.access import reads, writes
from schema.graph.context import Info
from schema.graph.inputs import given
from schema.graph.scalars import Access, DateTime, Plan, Resource
from schema.rules.keys import DEFAULT_OVERLAP_S, MAX_ALLOWED_IPS, MAX_OVERLAP_S
from schema.rules.scopes import effective
from schema.services import keys, workspaces
from schema.tables import ApiKey as ApiKeyRow


@strawberry.type(description="A tenant, with the plan that sets its limits.")
class Workspace:
    id: strawberry.ID
    name: str
    plan: Plan
    created_at: DateTime


@strawberry.type(description="What a key may do with one resource; write includes read.")
class ApiKeyScope:
    resource: Resource
    access: Access


@strawberry.type(description="An API key; its text is shown when it is made or rotated, and at no other time.")
class ApiKey:
    id: strawberry.ID
    name: str
    prefix: str
    last_four: str
    allowed_ips: list[str] | None = strawberry.field(
        description="The addresses and CIDR ranges from which it may be used. Null: any."
    )
    expires_at: DateTime | None
    revoked_at: DateTime | None
    last_used_at: DateTime | None = strawberry.field(description="To the minute.")
    created_at: DateTime

    @strawberry.field(description="What it may do; what is not here, it may not.")
    def scopes(self, root: strawberry.Parent[ApiKeyRow]) -> list[ApiKeyScope]:
        return [
            ApiKeyScope(resource=Resource(resource), access=Access(access))
            for resource, access in effective(root.scopes).items()
        ]


@strawberry.type(description="A new key, and its text.")
class CreatedApiKey:
    api_key: ApiKey
    key: str


@strawberry.type(description="A key that was rotated, and its new text.")
class RotatedApiKey:
    api_key: ApiKey
    key: str
    previous_key_expires_at: DateTime | None = strawberry.field(
        description="Until when the text that was replaced is good; null: it has ended."
    )


@strawberry.input
class ApiKeyScopeInput:
    resource: Resource
    access: Access


_SCOPES = "Each resource once; one that is left out: none. Null: write on all but api-keys."
_ALLOWED_IPS = f"Up to {MAX_ALLOWED_IPS} IP addresses and CIDR ranges, without host bits. Null: any address."


@strawberry.input
class CreateApiKeyInput:
    name: str
    expires_at: Maybe[DateTime | None]
    scopes: Maybe[list[ApiKeyScopeInput] | None] = strawberry.field(description=_SCOPES)
    allowed_ips: Maybe[list[str] | None] = strawberry.field(description=_ALLOWED_IPS)


@strawberry.input
class UpdateApiKeyInput:
    name: Maybe[str]
    expires_at: Maybe[DateTime | None]
    scopes: Maybe[list[ApiKeyScopeInput] | None] = strawberry.field(description=_SCOPES)
    allowed_ips: Maybe[list[str] | None] = strawberry.field(description=_ALLOWED_IPS)


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
        graphql_type=CreatedApiKey,
        permission_classes=writes(Resource.API_KEYS),
        description="Make a key. A key gives another no more than it has itself: neither scopes, addresses nor time.",
    )
    async def create_api_key(self, info: Info, input: CreateApiKeyInput) -> Any:
        async with info.context.write() as tx:
            row, text = await keys.create(tx, given(input))
        return CreatedApiKey(api_key=row, key=text)  # type: ignore[arg-type]

    @strawberry.mutation(
        graphql_type=ApiKey,
        permission_classes=writes(Resource.API_KEYS),
        description="Change the fields sent; the next request obeys. The key must not reach further than the one that "
        "changes it.",
    )
    async def update_api_key(self, info: Info, id: strawberry.ID, input: UpdateApiKeyInput) -> Any:
        async with info.context.write() as tx:
            return await keys.update(tx, id, given(input))

    @strawberry.mutation(
        graphql_type=RotatedApiKey,
        permission_classes=writes(Resource.API_KEYS),
        description="Give a key a new text. All else stays: id, name, scopes, addresses, what is left of its minute. "
        f"The old text is good for the overlap, 0 to {MAX_OVERLAP_S:,} seconds, {DEFAULT_OVERLAP_S:,} (a day) unless "
        "told; 0 ends it, and all others before it, at once.",
    )
    async def rotate_api_key(self, info: Info, id: strawberry.ID, overlap_seconds: int | None = None) -> Any:
        async with info.context.write() as tx:
            return await keys.rotate(tx, id, overlap_seconds=overlap_seconds)

    @strawberry.mutation(
        graphql_type=ApiKey,
        permission_classes=writes(Resource.API_KEYS),
        description="Refuse a key from now on, and every text of it that was good.",
    )
    async def revoke_api_key(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.write() as tx:
            return await keys.revoke(tx, id)
