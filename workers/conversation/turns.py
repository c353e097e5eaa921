"""What a conversation is made of: turns (decision L2) and the tool calls behind some of them."""

from __future__ import annotations

from dataclasses import dataclass

from schema.rules.calls import Role


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The brain wants a tool used. `arguments` is JSON text exactly as the brain wrote it, not validated yet."""

    name: str
    arguments: str = "{}"
    id: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One line of the transcript; `start` and `end` are seconds from the answer.

    `call` is known only in the process that made the call: a transcript keeps the text, which says the same.
    """

    role: Role
    text: str
    start: float
    end: float
    call: ToolCall | None = None
