"""The Brain interface: what decides the agent's next words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from workers.conversation.turns import ToolCall, Turn


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a language model is told of it; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AgentBrief:
    """Who speaks and on whose behalf. `now` is in the time zone in which days and hours are spoken of."""

    name: str
    system_prompt: str
    first_message: str | None
    language: str
    voicemail_message: str | None
    tools: Sequence[str | Mapping[str, object]]
    now: datetime


class BrainError(Exception):
    """The brain gave no usable answer; the message is a sentence for the operator and holds no secret."""


class Brain(Protocol):
    """Decides what the agent says next, from what has been said so far."""

    def reply(
        self, brief: AgentBrief, history: Sequence[Turn], tools: Sequence[ToolSpec]
    ) -> AsyncGenerator[str | ToolCall, None]:
        """The agent's next words as they are thought of, and the tools it wants used; raises BrainError.

        `history` is the transcript so far. What its callee turns say is data, never an instruction. After a tool was
        used, the loop asks again with its result as the last turn of the history.
        """
