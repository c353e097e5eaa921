"""`voxforge trigger`: a made-up event, for trying a receiver."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.remote import Server
from app.cli.support import AsJson, print_json


def trigger(
    event: Annotated[
        str,
        typer.Argument(help="call.started, call.ended, call.failed, transcript.ready or analysis.complete."),
    ],
    as_json: AsJson = False,
) -> None:
    """Have a made-up event happen on a running server.

    `voxforge listen` gets it, and every webhook endpoint that wants such events is sent it, once. VOXFORGE_URL and
    VOXFORGE_API_KEY name the server and a key that may write webhooks.
    """
    told = Server.required().ask("POST", "/events/trigger", {"event": event})
    if as_json:
        print_json(told)
        return
    count = told["deliveries"]
    endpoints = "no endpoint" if not count else "one endpoint" if count == 1 else f"{count} endpoints"
    typer.echo(f"{told['event']} has happened ({told['id']}): {endpoints} and whoever listens are sent it.")
