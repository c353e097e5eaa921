"""`voxforge calls`: single calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import typer

from app.cli.remote import Server
from app.cli.streams import follow as follow_stream
from app.cli.streams import until_interrupted
from app.cli.support import AsJson, print_json
from app.failure import Failure

commands = typer.Typer(no_args_is_help=True, help="Single calls.")

_STATES = """
subscription ($id: ID!) {
  callChanged(id: $id) {
    status waitingFor answeredBy duration outcome endReason summary
    transcript { role text start }
  }
}
"""


@commands.callback()
def everything() -> None:
    """Keeps `place` a command of its own."""


@commands.command()
def place(
    *,
    agent: Annotated[str, typer.Option(metavar="ID", help="The agent that speaks.")],
    number: Annotated[str, typer.Option("--from", metavar="ID", help="The phone number to call from.")],
    to: Annotated[str, typer.Option(metavar="+1…", help="The number to call, with its country code.")],
    follow: Annotated[bool, typer.Option("--follow", help="Print what is said, until the call is over.")] = False,
    as_json: AsJson = False,
) -> None:
    """Place a call over a running server.

    VOXFORGE_URL and VOXFORGE_API_KEY name the server and a key that may write calls. With --follow, what is said is
    printed turn by turn, then what the call came to; the exit status is 1 when nobody was reached.
    """
    server = Server.required()
    call = server.ask("POST", "/calls", {"agentId": agent, "phoneNumberId": number, "to": to})
    if not as_json:
        typer.echo(f"Call {call['id']} to {call['to']} is queued.")
    if not follow:
        if as_json:
            print_json(call)
        return
    shown = _Shown(typer.echo if not as_json else _nothing)
    with until_interrupted(f"The call goes on: GET /api/v1/calls/{call['id']} says what becomes of it."):
        for state in _states(server, call["id"]):
            shown.show(state)
        shown.finish()
    if as_json:
        print_json(server.ask("GET", f"/calls/{call['id']}"))
    raise typer.Exit(0 if shown.is_completed else 1)


class _Shown:
    """What has been printed of a call, so that what comes is printed once."""

    def __init__(self, echo: Callable[[str], object]) -> None:
        self._echo = echo
        self._told: set[str] = set()
        self._turns = 0
        self._last: Mapping[str, Any] = {}
        self.is_completed = False

    def show(self, state: Mapping[str, Any]) -> None:
        """Print what is new of it."""
        if state["waitingFor"]:
            self._once(f"It waits: {_words(state['waitingFor'])}.")
        if state["status"] == "IN_PROGRESS":
            self._once("The carrier has it.")
        if state["answeredBy"]:
            self._once(f"Answered: {_words(state['answeredBy'])}.")
        turns = state["transcript"] or []
        for turn in turns[self._turns :]:
            self._echo(f"{turn['start']:6.1f}  {_words(turn['role']):<6}  {turn['text']}")
        self._turns = len(turns)
        if state["status"] in ("COMPLETED", "FAILED"):
            self.is_completed = state["status"] == "COMPLETED"
            after = f" after {state['duration']} s" if self.is_completed else ""
            self._once(f"{_words(state['status']).capitalize()}{after}: {_words(state['endReason'] or 'unknown')}.")
        self._last = state

    def finish(self) -> None:
        """There is no more: print what it came to, which is known last."""
        if self._last.get("outcome"):
            self._echo(f"It came to: {_words(self._last['outcome'])}.")
        if self._last.get("summary"):
            self._echo(self._last["summary"])

    def _once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._echo(line)


def _states(server: Server, id: str) -> Iterator[Mapping[str, Any]]:
    """What the call is, and whatever it becomes, across connections."""

    def ask() -> Mapping[str, Any]:
        return {"method": "POST", "url": "/graphql/stream", "json": {"query": _STATES, "variables": {"id": id}}}

    is_broken = False
    for block in follow_stream(server, ask):
        if block.event == "next":
            answer = json.loads(block.data)
            for error in answer.get("errors", ()):
                is_broken = error["extensions"]["code"] == "INTERNAL_ERROR"  # it may be over: ask again
                if not is_broken:
                    raise Failure(error["message"])
            if answer["data"] is not None:
                yield answer["data"]["callChanged"]
        elif block.event == "complete":
            if not is_broken:
                return
            is_broken = False


def _words(value: str) -> str:
    """An enum's value as REST writes it."""
    return value.lower().replace("_", "-")


def _nothing(_line: str) -> None:
    """For who wants JSON alone."""
