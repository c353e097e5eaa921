"""A callee and a brain that say what they are told to, for tests of the turn loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field

from workers.carriers.base import LegOver, Utterance
from workers.conversation.brain import AgentBrief, BrainError, ToolSpec
from workers.conversation.turns import ToolCall, Turn

Reply = str | ToolCall | BrainError


@dataclass
class Line:
    """`TextMedia`. The callee says its lines, each in a second; None is silence. The agent takes a second a word."""

    callee: list[str | LegOver | None] = field(default_factory=list)
    cut_after_words: dict[int, int] = field(default_factory=dict)
    """By the number of the agent's utterance: after how many words the callee cuts in."""
    over_while_speaking: dict[int, LegOver] = field(default_factory=dict)
    now_s: float = 0.0
    spoken: list[str] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    def elapsed_s(self) -> float:
        return self.now_s

    async def speak(self, words: AsyncIterator[str]) -> Utterance:
        number = len(self.spoken)
        text = "".join([chunk async for chunk in words])
        if number in self.over_while_speaking:
            raise self.over_while_speaking[number]
        cut = self.cut_after_words.get(number)
        heard = text if cut is None else " ".join(text.split()[:cut])
        start, self.now_s = self.now_s, self.now_s + len(heard.split())
        if text:
            self.spoken.append(heard)
        return Utterance(heard, start, self.now_s, interrupted=cut is not None)

    async def listen(self, timeout_s: float) -> Utterance | None:
        self.timeouts.append(timeout_s)
        line = self.callee.pop(0) if self.callee else None
        if isinstance(line, LegOver):
            raise line
        if line is None:
            self.now_s += timeout_s
            return None
        start, self.now_s = self.now_s, self.now_s + 1
        return Utterance(line, start, self.now_s)


@dataclass
class Replies:
    """`Brain`. Each reply is a list of words, tool calls, or an error to raise; then it has nothing more to say."""

    replies: list[list[Reply]] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    """The history's texts at each question."""

    async def reply(
        self, brief: AgentBrief, history: Sequence[Turn], tools: Sequence[ToolSpec]
    ) -> AsyncGenerator[str | ToolCall, None]:
        self.asked.append(tuple(turn.text for turn in history))
        for part in self.replies.pop(0) if self.replies else []:
            if isinstance(part, BrainError):
                raise part
            yield part
