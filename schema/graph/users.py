"""People in the graph: who asks, who may sign in, and one's own sessions (decision 0011)."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.permission import BasePermission

from schema.errors import Forbidden
from schema.graph.context import Info
from schema.graph.scalars import DateTime
from schema.rules.roles import UserRole, manages_users
from schema.runtime import Viewer as Caller
from schema.services import passwords, sessions, users
from schema.services.acting import UNMANAGED
from schema.tables import ApiKey
from schema.tables import User as UserRow

strawberry.enum(UserRole, name="UserRole", description="What a person may do: an owner everything.")


class IsSignedIn(BasePermission):
    """The field is about the person who asks."""

    @classmethod
    def require(cls, viewer: Caller) -> None:
        if viewer.user_id is None:
            raise Forbidden("An API key has no sessions: only somebody who is signed in has")

    def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:
        self.require(info.context.viewer)
        return True


class ManagesUsers(BasePermission):
    """The field shows or changes who may sign in: for owners, and never for a key."""

    @classmethod
    def require(cls, viewer: Caller) -> None:
        if viewer.user_id is None:
            raise Forbidden("An API key cannot see or manage users: sign in as an owner")
        if not manages_users(viewer.scopes):
            raise Forbidden(UNMANAGED)

    def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:
        self.require(info.context.viewer)
        return True


@strawberry.type(description="A person who may sign in to the dashboard.")
class User:
    id: strawberry.ID
    email: str
    role: UserRole
    must_change_password: bool = strawberry.field(
        description="Whether the password is a one-time one, with which nothing can be done but choosing another."
    )
    last_signed_in_at: DateTime | None
    created_at: DateTime


@strawberry.type(description="The key that asks.")
class ViewerKey:
    id: strawberry.ID
    name: str


@strawberry.type(description="Who asks: somebody who is signed in, or a key.")
class Viewer:
    user: User | None
    key: ViewerKey | None


@strawberry.type(description="A person, and the one-time password to sign in with, which is shown only now.")
class UserWithOneTimePassword:
    user: User
    one_time_password: str


@strawberry.type(description="Somebody signed in, in one browser.")
class Session:
    id: strawberry.ID
    created_at: DateTime
    last_used_at: DateTime = strawberry.field(description="To the minute.")
    expires_at: DateTime = strawberry.field(description="The latest end; a session ends after seven days without use.")
    address: str | None = strawberry.field(description="From where it was signed in.")
    user_agent: str | None

    @strawberry.field(description="Whether it is the session that asks.")
    def current(self, info: Info) -> bool:
        return self.id == info.context.viewer.session_id


@strawberry.input
class CreateUserInput:
    email: str
    role: UserRole


@strawberry.type
class UserQueries:
    @strawberry.field(graphql_type=Viewer, description="Who asks.")
    async def viewer(self, info: Info) -> Any:
        caller = info.context.viewer
        user = await info.context.row(UserRow, caller.user_id)
        key = await info.context.row(ApiKey, caller.key_id)
        return Viewer(user=user, key=key)  # type: ignore[arg-type]

    @strawberry.field(
        graphql_type=list[User],
        permission_classes=[ManagesUsers],
        description="Everybody who may sign in to the workspace, oldest first.",
    )
    async def users(self, info: Info) -> Any:
        return await users.everybody(info.context.read())

    @strawberry.field(
        graphql_type=list[Session],
        permission_classes=[IsSignedIn],
        description="Where the caller is signed in, the latest used first.",
    )
    async def sessions(self, info: Info) -> Any:
        return await sessions.mine(info.context.read())


@strawberry.type
class UserMutations:
    @strawberry.mutation(
        graphql_type=UserWithOneTimePassword,
        permission_classes=[ManagesUsers],
        description="Let somebody sign in. They do so with the one-time password, and then choose their own.",
    )
    async def create_user(self, info: Info, input: CreateUserInput) -> Any:
        password = await passwords.new_one_time()
        async with info.context.write() as tx:
            row = await users.create(tx, address=input.email, role=input.role, password=password)
        return UserWithOneTimePassword(user=row, one_time_password=password.text)  # type: ignore[arg-type]

    @strawberry.mutation(
        graphql_type=User,
        permission_classes=[ManagesUsers],
        description="Give somebody another role, from their next request on. The last owner stays one.",
    )
    async def update_user(self, info: Info, id: strawberry.ID, role: UserRole) -> Any:
        async with info.context.write() as tx:
            return await users.set_role(tx, id, role)

    @strawberry.mutation(
        permission_classes=[ManagesUsers],
        description="Remove somebody, who is signed out everywhere at once. The last owner stays.",
    )
    async def remove_user(self, info: Info, id: strawberry.ID) -> strawberry.ID:
        async with info.context.write() as tx:
            await users.remove(tx, id)
        return id

    @strawberry.mutation(
        graphql_type=UserWithOneTimePassword,
        permission_classes=[ManagesUsers],
        description="Give somebody a new one-time password, and sign them out everywhere at once.",
    )
    async def reset_user_password(self, info: Info, id: strawberry.ID) -> Any:
        password = await passwords.new_one_time()
        async with info.context.write() as tx:
            row = await users.reset_password(tx, id, password)
        return UserWithOneTimePassword(user=row, one_time_password=password.text)  # type: ignore[arg-type]

    @strawberry.mutation(permission_classes=[IsSignedIn], description="End one of the caller's own sessions.")
    async def end_session(self, info: Info, id: strawberry.ID) -> strawberry.ID:
        async with info.context.write() as tx:
            await sessions.end(tx, id)
        return id

    @strawberry.mutation(
        permission_classes=[IsSignedIn],
        description="End all of the caller's sessions but the one that asks. Returns how many there were.",
    )
    async def end_other_sessions(self, info: Info) -> int:
        async with info.context.write() as tx:
            return await sessions.end_others(tx)
