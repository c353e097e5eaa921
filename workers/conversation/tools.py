"""The tools an agent can be given in a call: what the brain is told of them, and what happens when it uses one.

What the callee says reaches a tool only as an argument that is checked here; where a call may be transferred to is a
matter of the agent's configuration alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from schema.errors import DomainError
from schema.rules.calls import Role
from workers.conversation.brain import ToolSpec
from workers.conversation.turns import ToolCall, Turn

BOOK, OPT_OUT, TRANSFER, END = "book_appointment", "do_not_call", "transfer", "end_call"
ALWAYS = (OPT_OUT, END)
DEFAULT_LENGTH = timedelta(minutes=30)
LONGEST = timedelta(hours=8)
FURTHEST = timedelta(days=366)


class CallActions(Protocol):
    """The other end of the tools. Each answers a sentence for the brain, and raises DomainError with one."""

    async def book_appointment(self, start: datetime, end: datetime, title: str, notes: str | None) -> str:
        """Write a confirmed appointment with the callee."""

    async def do_not_call(self, reason: str) -> str:
        """Put the callee's number on the do-not-call list."""

    async def transfer(self, to: str) -> str:
        """Connect the callee to that number."""


SPECS = {
    BOOK: ToolSpec(
        BOOK,
        "Book an appointment with the person on the telephone, once they have agreed to a day and a time.",
        {
            "type": "object",
            "properties": {
                "start": {"type": "string", "description": "Start, ISO 8601, such as 2025-06-03T10:00:00+02:00"},
                "end": {"type": "string", "description": "End, ISO 8601; half an hour after the start if left out"},
                "title": {"type": "string", "description": "What the appointment is about, in a few words"},
                "notes": {"type": "string", "description": "What a colleague should know beforehand"},
            },
            "required": ["start", "title"],
            "additionalProperties": False,
        },
    ),
    OPT_OUT: ToolSpec(
        OPT_OUT,
        "Use at once when the person asks not to be called again. Then apologise briefly and say goodbye.",
        {
            "type": "object",
            "properties": {"reason": {"type": "string", "description": "What the person said, in a few words"}},
            "additionalProperties": False,
        },
    ),
    TRANSFER: ToolSpec(
        TRANSFER,
        "Connect the person to a human colleague. Say so before you use it.",
        {"type": "object", "properties": {}, "additionalProperties": False},
    ),
    END: ToolSpec(
        END,
        "Hang up. Say goodbye before you use it.",
        {"type": "object", "properties": {}, "additionalProperties": False},
    ),
}


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a tool: `text` is its line in the transcript, and what the brain is told."""

    text: str
    ok: bool


class Toolbox:
    """The tools of one call: those the agent was given (`tools`, as stored), and always do_not_call and end_call."""

    def __init__(self, tools: Sequence[str | Mapping[str, Any]], actions: CallActions) -> None:
        self._actions = actions
        self._transfer_to: str | None = None
        names = set(ALWAYS)
        for tool in tools:
            name = tool if isinstance(tool, str) else tool.get("name")
            if name == TRANSFER:
                self._transfer_to = None if isinstance(tool, str) else tool.get("to")
                if not self._transfer_to:
                    continue  # nowhere to transfer to
            if name in SPECS:
                names.add(name)
        self.specs = tuple(spec for name, spec in SPECS.items() if name in names)
        self.opted_out = False
        self.transferred = False
        self.ended = False

    def remember(self, history: Sequence[Turn]) -> None:
        """Take up a call whose earlier part another process carried."""
        self.opted_out = any(turn.role is Role.TOOL and succeeded(turn.text, OPT_OUT) for turn in history)

    async def run(self, call: ToolCall, *, now: datetime) -> ToolResult:
        """Use a tool. What is wrong with the call, and a DomainError of the action, become the result's sentence."""
        if call.name not in {spec.name for spec in self.specs}:
            return ToolResult(f"{call.name[:40]} failed: There is no such tool in this call.", ok=False)
        try:
            given = _arguments(call)
            shown, sentence = await self._use(call.name, given, now)
        except _BadArguments as error:
            return ToolResult(f"{call.name} failed: {error}", ok=False)
        except DomainError as error:
            return ToolResult(f"{call.name} failed: {error.message}", ok=False)
        inside = ", ".join(f"{name}={value}" for name, value in shown.items())
        return ToolResult(f"{call.name}({inside}): {sentence}", ok=True)

    async def _use(self, name: str, given: Mapping[str, str], now: datetime) -> tuple[dict[str, str], str]:
        if name == BOOK:
            return await self._book(given, now)
        if name == OPT_OUT:
            reason = given.get("reason", "").strip()[:200] or "asked during a call"
            sentence = "The number is on the do-not-call list."
            if not self.opted_out:
                sentence = await self._actions.do_not_call(reason)
                self.opted_out = True
            return {"reason": reason}, sentence
        if name == TRANSFER and self._transfer_to is not None:
            sentence = await self._actions.transfer(self._transfer_to)
            self.transferred = True
            return {}, sentence
        self.ended = True
        return {}, "The call ends."

    async def _book(self, given: Mapping[str, str], now: datetime) -> tuple[dict[str, str], str]:
        start = _instant(given, "start", now)
        end = _instant(given, "end", now) if given.get("end") else start + DEFAULT_LENGTH
        title = " ".join(given.get("title", "").split())
        if not 1 <= len(title) <= 200:
            raise _BadArguments("title must have between 1 and 200 characters.")
        if not now < start <= now + FURTHEST:
            raise _BadArguments("start must be in the future and within a year.")
        if not start < end <= start + LONGEST:
            raise _BadArguments("end must be after start, by 8 hours at most.")
        notes = given.get("notes", "").strip()[:2000] or None
        sentence = await self._actions.book_appointment(start, end, title, notes)
        return {"start": start.isoformat(), "end": end.isoformat(), "title": title}, sentence


class _BadArguments(Exception):
    """The brain's arguments do not fit; the message tells it how they should be."""


def _arguments(call: ToolCall) -> dict[str, str]:
    try:
        given = json.loads(call.arguments or "{}")
    except ValueError:
        raise _BadArguments("The arguments must be a JSON object.") from None
    if not isinstance(given, dict):
        raise _BadArguments("The arguments must be a JSON object.")
    properties = SPECS[call.name].parameters["properties"]
    clean = {}
    for name, value in given.items():
        if not isinstance(properties, dict) or name not in properties:
            raise _BadArguments(f"There is no argument {name[:40]}.")
        if value is None:
            continue
        if not isinstance(value, str):
            raise _BadArguments(f"{name} must be a string.")
        clean[name] = value
    return clean


def _instant(given: Mapping[str, str], name: str, now: datetime) -> datetime:
    """An ISO 8601 instant; one without an offset is meant in the zone in which the agent speaks of time."""
    try:
        value = datetime.fromisoformat(given.get(name, ""))
    except ValueError:
        raise _BadArguments(f"{name} must be an ISO 8601 date and time, such as 2025-06-03T10:00:00+02:00.") from None
    return value if value.tzinfo else value.replace(tzinfo=now.tzinfo)


def tool_of(text: str) -> str:
    """The tool that a transcript's tool line is about."""
    return text.partition("(")[0].partition(" ")[0]


def succeeded(text: str, name: str) -> bool:
    """Whether a transcript's tool line says that this tool was used and did its work."""
    return text.startswith(f"{name}(")
