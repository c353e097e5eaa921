"""`voxforge listen`: the workspace's events in the terminal, and forwarded to a server on this machine, signed."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from app.cli.remote import Server
from app.cli.streams import Block, follow, until_interrupted
from app.failure import Failure
from schema.version import VERSION

if TYPE_CHECKING:
    import httpx

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

_ANSWER_S = 10.0  # as a delivery has (decision W4)
_REMEMBERED = 10_000


def listen(
    *,
    forward_to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where each event is sent, as a webhook is: http://localhost:3000/webhook."),
    ] = None,
    events: Annotated[
        str | None, typer.Option(metavar="EVENT,…", help="Only these: call.ended,call.failed. All unless given.")
    ] = None,
) -> None:
    """Follow a running server's events, and forward them, signed; Ctrl-C ends it.

    VOXFORGE_URL and VOXFORGE_API_KEY name the server and a key that may read webhooks. No endpoint is needed, and the
    server need not reach this machine.
    """
    server = Server.required()
    forward = _Forward(forward_to) if forward_to is not None else None
    if forward is not None:
        typer.echo(f"The signing secret of this session: {forward.secret}")
    with until_interrupted():
        _listen(server, events, forward)


def _listen(server: Server, events: str | None, forward: _Forward | None) -> None:
    last: str | None = None
    told: OrderedDict[str, None] = OrderedDict()

    def ask() -> Mapping[str, Any]:
        return {
            "method": "GET",
            "url": "/api/v1/events",
            "params": {} if events is None else {"events": events},
            "headers": {} if last is None else {"Last-Event-ID": last},
        }

    for block in follow(server, ask):
        if last is None:
            typer.echo(f"Listening to {server.url} (Ctrl-C ends it)", err=True)
        last = block.id or last
        if not block.data or block.id in told:  # what was sent just before a connection broke comes again
            continue
        told[block.id] = None
        if len(told) > _REMEMBERED:
            told.popitem(last=False)
        typer.echo(_line(block, forward.send(block) if forward is not None else ""))


class _Forward:
    """The receiver on this machine."""

    def __init__(self, url: str) -> None:
        import httpx

        from schema.rules.webhooks import new_secret

        if urlsplit(url).scheme not in {"http", "https"}:
            raise Failure("--forward-to must be an address such as http://localhost:3000/webhook")
        self.secret = new_secret()
        self._url = url
        self._client = httpx.Client(timeout=_ANSWER_S, follow_redirects=False, trust_env=False)

    def send(self, block: Block) -> str:
        """Send it as a delivery is sent; what came of it."""
        import httpx

        from schema.rules.webhooks import headers, user_agent

        signed = headers(
            block.data,
            event_id=block.id,
            secrets=[self.secret],
            sent_at=datetime.now(UTC),
            user_agent=user_agent(VERSION),
        )
        begun = time.perf_counter()
        try:
            outcome = _outcome(self._client.post(self._url, content=block.data, headers=signed))
        except httpx.TimeoutException:
            outcome = typer.style("no answer", fg="red")
        except httpx.TransportError as error:
            outcome = typer.style(str(error) or type(error).__name__, fg="red")
        return f"{outcome}  {(time.perf_counter() - begun) * 1_000:.0f} ms"


def _outcome(response: httpx.Response) -> str:
    return typer.style(str(response.status_code), fg="green" if response.is_success else "red")


def _line(block: Block, outcome: str) -> str:
    body = json.loads(block.data)
    happened = datetime.fromisoformat(body["timestamp"]).astimezone()
    return f"{happened:%H:%M:%S}  {block.event:<17}  {body['data']['callId']}  {outcome}".rstrip()
