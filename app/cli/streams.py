"""Server-sent events of a running server, for as long as anybody wants them: a stream that breaks is opened anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer

from app.cli.remote import Server, refusal

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

SILENCE_S = 45.0
"""A server that says nothing for so long is gone: it sends a comment every 15 seconds."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
_TRY_AGAIN = (429, 500, 502, 503, 504)

Ask = Callable[[], Mapping[str, Any]]
"""What to ask for, given to `httpx.stream`: `method`, `url` below the server's, and more; anew for each try."""


@dataclass(frozen=True, slots=True)
class Block:
    """One server-sent event, its data byte for byte."""

    id: str
    event: str
    data: bytes


def follow(server: Server, ask: Ask) -> Iterator[Block]:
    """Blocks for ever, across connections. Raises Failure when the first cannot be had, or for a refusal that stays."""
    import httpx

    tries, has_begun = 0, False
    with httpx.Client(headers=server.authorization, timeout=httpx.Timeout(30, read=SILENCE_S)) as client:
        while True:
            asked = dict(ask())
            try:
                with client.stream(url=server.url + asked.pop("url"), **asked) as response:
                    if response.status_code == httpx.codes.OK:
                        has_begun = True
                        for block in blocks(response.iter_bytes()):
                            tries = 0
                            yield block
                        why = "the server has ended it"
                    else:
                        response.read()
                        if not has_begun or response.status_code not in _TRY_AGAIN:
                            raise refusal(response)
                        why = str(refusal(response))
            except httpx.TransportError as error:
                if not has_begun:
                    raise server.unreachable(error) from None
                why = str(error) or type(error).__name__
            wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**tries)
            tries += 1
            typer.echo(f"The connection was lost ({why}); trying again in {wait:g} s", err=True)
            time.sleep(wait)


def blocks(chunks: Iterator[bytes]) -> Iterator[Block]:
    """The blocks of a stream; those without data, too, as they may have an id."""
    fields: dict[bytes, bytes] = {}
    for line in _lines(chunks):
        if line:
            name, _, value = line.partition(b":")
            fields[name] = value.removeprefix(b" ")
        elif fields:
            yield Block(fields.get(b"id", b"").decode(), fields.get(b"event", b"").decode(), fields.get(b"data", b""))
            fields = {}


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


@contextmanager
def until_interrupted(said: str | None = None) -> Iterator[None]:
    """Ctrl-C is how a command that goes on for long is ended: exit status 0, with a last sentence on stderr."""
    try:
        yield
    except KeyboardInterrupt:
        if said is not None:
            typer.echo(said, err=True)
        raise typer.Exit from None
