"""What a conversation is made of: turns (decision L2) and the tool calls behind some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schema.rules.calls import Role


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The brain wants a tool used. `arguments` is JSON text exactly as the brain wrote it, not validated yet."""

    name: str
    arguments: str = "{}"


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

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> Turn:
        """A turn of a transcript as it is stored."""
        return cls(Role(line["role"]), line["text"], line["start"], line["end"])

    def as_line(self) -> dict[str, Any]:
        """The turn as a transcript stores and shows it."""
        return {"role": self.role.value, "text": self.text, "start": self.start, "end": self.end}
