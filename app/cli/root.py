"""The commands together, and what of them is the same: `--version`, and errors in one sentence."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app.cli import calls, contacts, doctor, documents, keys, listen, server, trigger, users, workspaces
from app.failure import sentence
from schema.version import VERSION


class Commands(TyperGroup):
    """Says what went wrong in one sentence on stderr, exit status 1, where we have a sentence for it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            said = sentence(error)
            if said is None:
                raise
            typer.echo(said, err=True)
            raise typer.Exit(1) from None


commands = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="VoxForge: voice agents that place and take phone calls, on your own machine.",
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"voxforge {VERSION}")
        raise typer.Exit


@commands.callback()
def everything(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What comes before the commands."""


for command in (server.up, server.serve, server.work, server.migrate, doctor.doctor, documents.openapi):
    commands.command()(command)
commands.command("schema")(documents.print_schema)
commands.command()(listen.listen)
commands.command()(trigger.trigger)
commands.add_typer(calls.commands, name="calls")
commands.add_typer(contacts.commands, name="contacts")
commands.add_typer(keys.commands, name="keys")
commands.add_typer(workspaces.commands, name="workspaces")
commands.add_typer(users.commands, name="users")
