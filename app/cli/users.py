"""`voxforge users`: accounts for the dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    typer.echo(f"{address} can sign in to {place} with this password, once, and then chooses another:", err=True)
    typer.echo(password)


async def _create(data: Path | None, email: str, workspace: str | None, role: str) -> tuple[str, str, str]:
    from schema.services import users

    async with opened(data) as runtime:
        place = await workspace_named(runtime.snapshot(None), workspace)
        async with runtime.transaction(member_of(place)) as tx:
            user, password = await users.create(tx, address=email, role=role)
    return user.email, password, place.name


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
                }
                for user in people
            ]
    return rows
