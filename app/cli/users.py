"""`voxforge users`: accounts for the dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.support import (
    AsJson,
    Data,
    InWorkspace,
    member_of,
    opened,
    print_listing,
    run,
    workspace_named,
    workspaces_named,
)

if TYPE_CHECKING:
    from schema.runtime import Reads
    from schema.tables import User

# ruff: noqa: PLC0415 (a command loads the database only when it runs)

commands = typer.Typer(no_args_is_help=True, help="Accounts for the dashboard.")


@commands.command()
def create(
    email: Annotated[str, typer.Argument(help="The address to sign in with.")],
    workspace: InWorkspace = None,
    role: Annotated[str, typer.Option(help="owner or member.")] = "member",
    data: Data = None,
) -> None:
    """Make an account and print its one-time password, which is not kept and cannot be shown again."""
    address, password, place = run(_create(data, email, workspace, role))
    typer.echo(f"{address} can sign in to {place} with this password, and must then choose another:", err=True)
    typer.echo(password)


async def _create(data: Path | None, email: str, workspace: str | None, role: str) -> tuple[str, str, str]:
    from schema.services import passwords, users

    async with opened(data) as runtime:
        place = await workspace_named(runtime.snapshot(None), workspace)
        password = await passwords.new_one_time()
        async with runtime.transaction(member_of(place)) as tx:
            user = await users.create(tx, address=email, role=role, password=password)
    return user.email, password.text, place.name


@commands.command("list")
def print_list(workspace: InWorkspace = None, as_json: AsJson = False, data: Data = None) -> None:
    """List the accounts, those of every workspace unless one is named."""
    print_listing(run(_list(data, workspace)), as_json=as_json, empty="There are no users.")


async def _list(data: Path | None, workspace: str | None) -> list[dict[str, object]]:
    from schema.services import users

    rows: list[dict[str, object]] = []
    async with opened(data) as runtime:
        for place in await workspaces_named(runtime.snapshot(None), workspace):
            people = await users.everybody(runtime.snapshot(member_of(place)))
            rows += [
                {
                    "id": user.id,
                    "email": user.email,
                    "role": user.role.value,
                    "workspaceId": place.id,
                    "createdAt": user.created_at,
                    "lastSignedInAt": user.last_signed_in_at,
                }
                for user in people
            ]
    return rows


@commands.command()
def remove(email: Annotated[str, typer.Argument(help="Whose account.")], data: Data = None) -> None:
    """Remove an account; whoever has it is signed out everywhere at once."""
    address = run(_remove(data, email))
    typer.echo(f"{address} is removed.", err=True)


async def _remove(data: Path | None, email: str) -> str:
    from schema.services import users, workspaces

    async with opened(data) as runtime:
        user = await _named(runtime.snapshot(None), email)
        place = await workspaces.find(runtime.snapshot(None), user.workspace_id)
        async with runtime.transaction(member_of(place)) as tx:
            await users.remove(tx, user.id)
    return user.email


@commands.command("reset-password")
def reset_password(email: Annotated[str, typer.Argument(help="Whose password.")], data: Data = None) -> None:
    """Print a new one-time password for an account; whoever has it is signed out everywhere at once."""
    address, password = run(_reset_password(data, email))
    typer.echo(f"{address} can sign in with this password, and must then choose another:", err=True)
    typer.echo(password)


async def _reset_password(data: Path | None, email: str) -> tuple[str, str]:
    from schema.services import passwords, users, workspaces

    async with opened(data) as runtime:
        user = await _named(runtime.snapshot(None), email)
        place = await workspaces.find(runtime.snapshot(None), user.workspace_id)
        password = await passwords.new_one_time()
        async with runtime.transaction(member_of(place)) as tx:
            await users.reset_password(tx, user.id, password)
    return user.email, password.text


async def _named(tx: Reads, email: str) -> User:
    """Whoever has that address. Raises NotFound."""
    from schema.errors import NotFound
    from schema.services import users

    user = await users.find_by_email(tx, email)
    if user is None:
        raise NotFound(f"There is no user {email}")
    return user
