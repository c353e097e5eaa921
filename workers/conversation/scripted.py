"""The brain without a language model: rules that hold a short, polite call and always come to an end.

It keeps nothing to itself: what it says next follows from the transcript alone, so after a crash a call goes on where
it was. It speaks English.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta

from schema.rules.calls import Role
from workers.conversation.brain import AgentBrief, ToolSpec
from workers.conversation.intents import Intent, callback_when, detect
from workers.conversation.pitch import Pitch, pitch
from workers.conversation.tools import BOOK, END, OPT_OUT, TRANSFER, succeeded, tool_of
from workers.conversation.turns import ToolCall, Turn

FAREWELL = "Thank you for your time. Goodbye."
ANYTHING_ELSE = "Is there anything else I can do for you?"
SAY_SO = "If you would rather not be called again, just say so."
A_COLLEAGUE = "A colleague would explain it to you in a few minutes."
INTERESTED_IN_IT = "Would you be interested?"
BACKCHANNELS = ("I see.", "I understand.", "Oh, really?", "That makes sense.")
LONG_WORDS = 25
"""A turn of so many words that does not end in a question wants an ear rather than an answer."""
MOST_OFFERS = 3
MOST_TURNS = 24
_OFFER = re.compile(r"Would (\w+, \d+ \w+ at \d\d:\d\d) work for you\?")

Said = list[str | ToolCall]


class ScriptedBrain:
    """`Brain` by rules; the agent's own prompt and first message say who it is and what it is about."""

    async def reply(
        self, brief: AgentBrief, history: Sequence[Turn], tools: Sequence[ToolSpec]
    ) -> AsyncGenerator[str | ToolCall, None]:
        """See `Brain.reply`. Raises nothing."""
        for part in _Script(brief, history, frozenset(tool.name for tool in tools)).next():
            yield part


class _Script:
    """One decision, from everything that was said before it."""

    def __init__(self, brief: AgentBrief, history: Sequence[Turn], tools: frozenset[str]) -> None:
        self._brief = brief
        self._history = history
        self._tools = tools
        self._pitch: Pitch = pitch(brief)
        self._mine = [turn.text for turn in history if turn.role is Role.AGENT]
        self._theirs = [turn.text for turn in history if turn.role is Role.CALLEE]
        self._booked = any(turn.role is Role.TOOL and succeeded(turn.text, BOOK) for turn in history)
        self._opted_out = any(turn.role is Role.TOOL and tool_of(turn.text) == OPT_OUT for turn in history)

    def next(self) -> Said:
        if not self._history:
            return [self._greeting()]
        last = self._history[-1]
        if last.role is Role.TOOL:
            return self._after_tool(last.text)
        if not self._theirs:
            return [self._greeting()] if not self._mine else _farewell(FAREWELL)
        return self._answer(self._theirs[-1], detect(self._theirs[-1]))

    # --- what to say ---

    def _greeting(self) -> str:
        return self._brief.first_message or (
            f"Hello. {self._pitch.introduction}. I am calling about {self._pitch.topic}. Do you have a minute?"
        )

    def _after_tool(self, text: str) -> Said:
        tool = tool_of(text)
        if tool == OPT_OUT:
            return _farewell("I understand, and I am sorry for the disturbance. We will not call you again. Goodbye.")
        if tool == BOOK and succeeded(text, BOOK):
            return [f"Wonderful, you are booked for {self._offered()}. {ANYTHING_ELSE}"]
        if tool == BOOK:
            return self._offer("I am sorry, I could not book that time. ")
        if tool == TRANSFER:
            return [f"I am sorry, I cannot connect you right now. {ANYTHING_ELSE}"]
        return _farewell(FAREWELL)

    def _answer(self, text: str, intents: frozenset[Intent]) -> Said:
        if Intent.DO_NOT_CALL in intents:
            if self._opted_out:
                return self._after_tool(OPT_OUT)
            return [ToolCall(OPT_OUT, json.dumps({"reason": text[:200]}))]
        if Intent.SCREENING in intents:
            return [f"{self._pitch.introduction}. I am calling about {self._pitch.topic}."]
        return self._refusal(text, intents) or self._agreement(intents) or self._conversation(text, intents)

    def _refusal(self, text: str, intents: frozenset[Intent]) -> Said:
        """Whoever does not want this call, or not now, gets a short answer."""
        if Intent.WRONG_NUMBER in intents:
            return _farewell("I am sorry, I have the wrong number then. Goodbye.")
        if Intent.ANGRY in intents:
            if any(Intent.ANGRY in detect(earlier) for earlier in self._theirs[:-1]):
                return _farewell("I am sorry for the disturbance. Goodbye.")
            return [f"I am sorry, I did not want to disturb you. {self._pitch.introduction}.", f" {SAY_SO}"]
        if Intent.CALLBACK in intents:
            when = callback_when(text) or "at a better time"
            return _farewell(f"Of course. I will call you back {when}. Goodbye.")
        if Intent.NOT_INTERESTED in intents and not self._booked:
            return _farewell(f"I understand. {FAREWELL}")
        return []

    def _agreement(self, intents: frozenset[Intent]) -> Said:
        """What follows an offer, and how a call that has reached its end is ended."""
        if self._offered() and not self._booked and BOOK in self._tools:
            if Intent.NO in intents:
                return self._offer("No problem. ")
            if intents & {Intent.YES, Intent.INTERESTED} and Intent.WHO not in intents:
                return [self._booking()]
        closing = bool(self._mine) and ANYTHING_ELSE in self._mine[-1]
        if closing and Intent.QUESTION not in intents and not intents & {Intent.YES, Intent.INTERESTED}:
            return _farewell(FAREWELL)
        if intents & {Intent.GOODBYE, Intent.DONE}:
            return _farewell(FAREWELL)
        if Intent.SEND_INFORMATION in intents:
            return _farewell(f"Gladly, I will see to it. {FAREWELL}")
        return []

    def _conversation(self, text: str, intents: frozenset[Intent]) -> Said:
        first = self._brief.first_message
        if first and len(self._theirs) == 2 and Intent.SCREENING in detect(self._theirs[0]) and first not in self._mine:
            return [first]  # a machine answered first, and has put the call through
        if Intent.WHO in intents:
            return [f"{self._pitch.introduction}. I am calling about {self._pitch.topic}. Do you have a minute?"]
        if len(text.split()) >= LONG_WORDS and not text.endswith("?"):
            return [BACKCHANNELS[len(self._theirs) % len(BACKCHANNELS)]]
        if len(self._mine) > MOST_TURNS:
            return _farewell(FAREWELL)
        if Intent.NO in intents and not self._offered():
            return _farewell(f"I understand. {FAREWELL}")
        if not any(INTERESTED_IN_IT in turn for turn in self._mine):
            return [f"It is about {self._pitch.topic}. {A_COLLEAGUE} {INTERESTED_IN_IT}"]
        if BOOK in self._tools and not self._booked:
            return self._offer("Very good. ")
        return [f"Thank you. A colleague will get in touch with you. {ANYTHING_ELSE}"]

    # --- appointments ---

    def _offer(self, before: str) -> Said:
        offers = sum(1 for turn in self._mine if _OFFER.search(turn))
        if offers >= MOST_OFFERS:
            return _farewell(f"{before}A colleague will write to you instead. {FAREWELL}")
        return [f"{before}Would {spoken(slot(self._brief.now, offers))} work for you?"]

    def _offered(self) -> str | None:
        """The last slot offered, in the words in which it was."""
        found = [match[1] for turn in self._mine if (match := _OFFER.search(turn))]
        return found[-1] if found else None

    def _booking(self) -> ToolCall:
        start = understood(self._offered() or "", self._brief.now)
        topic = self._pitch.topic
        arguments = {
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=30)).isoformat(),
            "title": topic[0].upper() + topic[1:],
        }
        return ToolCall(BOOK, json.dumps(arguments))


def _farewell(words: str) -> Said:
    return [words, ToolCall(END)]


def slot(now: datetime, index: int) -> datetime:
    """The slots that are offered one after the other: the next business days, at 10:00 and at 14:00."""
    day = now
    for _ in range(index // 2 + 1):
        day += timedelta(days=1)
        while day.weekday() >= 5:
            day += timedelta(days=1)
    return day.replace(hour=14 if index % 2 else 10, minute=0, second=0, microsecond=0)


def spoken(start: datetime) -> str:
    """A slot as it is said: `Thursday, 16 January at 10:00`."""
    return f"{start:%A}, {start.day} {start:%B} at {start:%H:%M}"


def understood(words: str, now: datetime) -> datetime:
    """The slot that was said: the first such day from now on."""
    said = datetime.strptime(f"{words} {now.year}", "%A, %d %B at %H:%M %Y").replace(tzinfo=now.tzinfo)
    return said if said > now else said.replace(year=now.year + 1)
