"""`voxforge workspaces`: tenants and their plans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.support import AsJson, Data, opened, print_listing, run

# ruff: noqa: PLC0415 (a command loads the database only when it runs)

commands = typer.Typer(no_args_is_help=True, help="Workspaces and their plans.")

_PLANS = "starter, professional, business or enterprise"


@commands.command()
def create(
    name: Annotated[str, typer.Option(help="What people call it.")],
    plan: Annotated[str, typer.Option(help=f"{_PLANS.capitalize()}.")],
    data: Data = None,
) -> None:
    """Make a workspace, with a sandbox number to call from, and print its id."""
    typer.echo(run(_create(data, name, plan)))


async def _create(data: Path | None, name: str, plan: str) -> str:
    from schema.services import seed

    async with opened(data) as runtime, runtime.transaction(None) as tx:
        return (await seed.found(tx, name=name, plan=plan.lower())).id


@commands.command()
def set_plan(
    id: Annotated[str, typer.Argument(help="The workspace.")],
    plan: Annotated[str, typer.Argument(help=f"{_PLANS.capitalize()}.")],
    data: Data = None,
) -> None:
    """Change a workspace's plan; the next request obeys it."""
    name = run(_set_plan(data, id, plan))
    typer.echo(f"{name} is on the plan {plan.capitalize()} now.", err=True)


async def _set_plan(data: Path | None, id: str, plan: str) -> str:
    from schema.services import workspaces

    async with opened(data) as runtime, runtime.transaction(None) as tx:
        return (await workspaces.set_plan(tx, id, plan.lower())).name


@commands.command("list")
def print_list(as_json: AsJson = False, data: Data = None) -> None:
    """List the workspaces."""
    print_listing(run(_list(data)), as_json=as_json, empty="There are no workspaces.")


async def _list(data: Path | None) -> list[dict[str, object]]:
    from schema.services import workspaces

    async with opened(data) as runtime:
        rows = await workspaces.everything(runtime.snapshot(None))
    return [{"id": row.id, "name": row.name, "plan": row.plan.value, "createdAt": row.created_at} for row in rows]
