"""The turn loop of a text leg: who speaks when, for how long, and why a conversation ends."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from schema.rules.calls import AnsweredBy, EndReason, Role, storable
from workers.carriers.base import Ending, LegOver, TextMedia, Utterance
from workers.conversation.brain import AgentBrief, Brain, BrainError
from workers.conversation.intents import Intent, detect, opts_out
from workers.conversation.phrases import phrases
from workers.conversation.tools import BOOK, END, OPT_OUT, Toolbox
from workers.conversation.turns import ToolCall, Turn

__all__ = ["Conclusion", "Turn", "converse"]

OPENING_S = 4.0
"""How long an agent without a first message waits for a "Hello?" before it speaks."""
GREETING_S = 25.0
"""How long a machine may take to ask for a message."""
CLOSING_S = 5.0
"""What is left of the maximum duration when the agent takes its leave."""
CHARACTERS_PER_SECOND = 12.0
"""A careful guess of how fast the closing words are spoken."""
MOST_ROUNDS = 5
"""How often the brain may use tools before the callee is heard again."""
TRIES = 2
"""How often a brain is asked that fails before it has said anything."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Why the conversation ended. `ending`: the carrier's word, with our `reason`, if the leg is over already.

    `answered_by` is what the words showed, where the carrier did not know or was wrong. `message_left`: a machine took
    the whole message. `failure`: the brain's sentence, with AGENT_ERROR.
    """

    reason: EndReason
    answered_by: AnsweredBy
    message_left: bool = False
    ending: Ending | None = None
    failure: str | None = None


async def converse(
    media: TextMedia,
    brain: Brain,
    brief: AgentBrief,
    toolbox: Toolbox,
    on_turn: Callable[[Turn], Awaitable[None]],
    *,
    answered_by: AnsweredBy,
    silence_timeout_s: float,
    max_duration_s: float,
    history: Sequence[Turn] = (),
) -> Conclusion:
    """Hold the conversation on an answered leg until there is a reason to end it; ending the leg is the caller's.

    Each turn is awaited in `on_turn` before the next begins. With a `history`, as after a crash, the agent does not
    greet again. Times are call seconds. Raises LegOver if the leg has ended and nobody has said why.
    """
    talk = _Talk(
        media,
        brain,
        brief,
        toolbox,
        on_turn=on_turn,
        answered_by=answered_by,
        silence_timeout_s=silence_timeout_s,
        max_duration_s=max_duration_s,
        history=history,
    )
    ending = None
    try:
        reason = await talk.run()
    except LegOver as over:
        if over.ending is None:
            raise
        reason = talk.refined(over.ending.reason)
        ending = replace(over.ending, reason=reason)
    return Conclusion(reason, talk.answered_by, talk.message_left, ending, talk.failure)


class _Talk:
    """The state of one conversation."""

    def __init__(
        self,
        media: TextMedia,
        brain: Brain,
        brief: AgentBrief,
        toolbox: Toolbox,
        *,
        on_turn: Callable[[Turn], Awaitable[None]],
        answered_by: AnsweredBy,
        silence_timeout_s: float,
        max_duration_s: float,
        history: Sequence[Turn],
    ) -> None:
        self.answered_by = answered_by
        self.message_left = False
        self.failure: str | None = None
        self._media = media
        self._brain = brain
        self._brief = brief
        self._toolbox = toolbox
        self._on_turn = on_turn
        self._silence_timeout_s = silence_timeout_s
        self._max_duration_s = max_duration_s
        self._phrases = phrases(brief.language)
        self._turns = list(history)
        toolbox.remember(history)

    def refined(self, reason: EndReason) -> EndReason:
        """A carrier only knows that the callee hung up; we know what they said before."""
        if reason is not EndReason.CALLEE_HANGUP:
            return reason
        if self._toolbox.opted_out:
            return EndReason.OPTED_OUT
        if self._is_voicemail():
            return EndReason.VOICEMAIL
        if self.answered_by is AnsweredBy.CALL_SCREENING and not self._was_put_through():
            return EndReason.CALL_SCREENED
        return reason

    def _is_voicemail(self) -> bool:
        return self.answered_by is AnsweredBy.VOICEMAIL

    def _was_put_through(self) -> bool:
        """The screening has answered the agent's introduction, and the agent has spoken again."""
        callee = [index for index, turn in enumerate(self._turns) if turn.role is Role.CALLEE]
        return len(callee) > 1 and any(turn.role is Role.AGENT for turn in self._turns[callee[1] :])

    async def run(self) -> EndReason:
        if self.answered_by is AnsweredBy.FAX:
            return EndReason.AGENT_HANGUP
        if self._is_voicemail():
            return await self._leave_message()
        answer_due = await self._resume() if self._turns else await self._open()
        while True:
            if not answer_due:
                if (reason := await self._wait_for_callee()) is not None:
                    return reason
                if self._is_voicemail():
                    return await self._leave_message()
            if (reason := await self._answer()) is not None:
                return reason
            answer_due = False

    # --- beginnings ---

    async def _open(self) -> bool:
        """The first words; returns whether the brain is to speak next."""
        if self.answered_by is AnsweredBy.CALL_SCREENING:
            return False  # the machine asks first
        if self._brief.first_message:
            await self._say(self._brief.first_message)
            return False
        await self._hear(min(OPENING_S, self._silence_timeout_s))
        return not self._is_voicemail()

    async def _resume(self) -> bool:
        """Go on after a crash: answer what was said last, or listen if it was the agent."""
        last = self._turns[-1]
        if last.role is Role.CALLEE:
            await self._heed(last.text)
        return last.role is not Role.AGENT

    # --- the callee's turn ---

    async def _wait_for_callee(self) -> EndReason | None:
        """Until the callee has said something; a reason if nothing is said, or time is up."""
        asked = False
        while True:
            left_s = self._max_duration_s - self._media.elapsed_s() - CLOSING_S
            if left_s <= 0.05:
                return await self._take_leave()
            if await self._hear(min(self._silence_timeout_s, left_s)):
                return None
            if left_s <= self._silence_timeout_s:
                continue
            if asked:
                return EndReason.SILENCE_TIMEOUT
            asked = True
            await self._say(self._phrases.still_there)

    async def _hear(self, timeout_s: float) -> bool:
        try:
            heard = await self._media.listen(timeout_s)
        except LegOver as over:
            await self._note(Role.CALLEE, over.heard)
            raise
        if heard is None or not heard.text:
            return False
        if not any(turn.role is Role.CALLEE for turn in self._turns):
            self._recognise(heard.text)
        await self._note(Role.CALLEE, heard)
        return True

    def _recognise(self, text: str) -> None:
        """A machine that was taken for somebody else gives itself away by its first words."""
        intents = detect(text)
        if Intent.VOICEMAIL in intents:
            self.answered_by = AnsweredBy.VOICEMAIL
        elif Intent.SCREENING in intents:
            self.answered_by = AnsweredBy.CALL_SCREENING

    async def _heed(self, text: str) -> None:
        """Whoever asks not to be called again is heard by the platform itself, whatever the brain makes of it (L5)."""
        if opts_out(text) and not self._toolbox.opted_out and not self._is_voicemail():
            await self._use(ToolCall(OPT_OUT, json.dumps({"reason": text[:200]})))

    async def _note(self, role: Role, heard: Utterance | None) -> None:
        """Write a turn down, if there was anything to hear."""
        if heard is None or not heard.text:
            return
        turn = Turn(role, heard.text, heard.start, heard.end)
        self._turns.append(turn)
        await self._on_turn(turn)
        if role is Role.CALLEE:
            await self._heed(heard.text)

    # --- the agent's turn ---

    async def _answer(self) -> EndReason | None:
        """Let the brain speak and use tools until it is the callee's turn; a reason if the conversation is over."""
        tries = 0
        for _ in range(MOST_ROUNDS):
            calls: list[ToolCall] = []
            failures: list[BrainError] = []
            heard = await self._speak_brain(calls, failures)
            if failures and not heard.text and not calls and tries + 1 < TRIES:
                tries += 1
                continue
            for call in calls:
                if not (heard.interrupted and call.name == END):
                    await self._use(call)
            if (reason := self._reason_to_end(heard, calls)) is not None:
                return reason
            if failures:
                self.failure = str(failures[-1])
                await self._say(self._phrases.trouble)
                return EndReason.AGENT_ERROR
            if heard.interrupted or not calls:
                return None
        return None

    def _reason_to_end(self, heard: Utterance, calls: Sequence[ToolCall]) -> EndReason | None:
        if self._toolbox.transferred:
            return EndReason.TRANSFERRED
        if self._toolbox.opted_out and (heard.text or self._toolbox.ended or not calls):
            return EndReason.OPTED_OUT
        return EndReason.AGENT_HANGUP if self._toolbox.ended else None

    async def _speak_brain(self, calls: list[ToolCall], failures: list[BrainError]) -> Utterance:
        try:
            async with aclosing(self._words(calls, failures)) as words:
                return await self._speak(words)
        except LegOver:
            for call in calls:  # what was agreed upon holds, even if the line is gone
                if call.name in (BOOK, OPT_OUT):
                    await self._use(call)
            raise

    async def _words(self, calls: list[ToolCall], failures: list[BrainError]) -> AsyncGenerator[str, None]:
        """The brain's words; its tool calls and its failure are put aside until the words have been spoken."""
        async with aclosing(self._brain.reply(self._brief, tuple(self._turns), self._toolbox.specs)) as parts:
            half = ""  # of a character that a model's stream has cut in two
            try:
                async for part in parts:
                    if isinstance(part, ToolCall):
                        calls.append(part)
                    elif self._media.elapsed_s() < self._max_duration_s:
                        text = half + part
                        half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
                        if text := storable(text.removesuffix(half)):
                            yield text
            except BrainError as error:
                failures.append(error)

    async def _say(self, text: str) -> Utterance:
        async def words() -> AsyncIterator[str]:
            yield text

        return await self._speak(words())

    async def _speak(self, words: AsyncIterator[str]) -> Utterance:
        try:
            heard = await self._media.speak(words)
        except LegOver as over:
            await self._note(Role.AGENT, over.heard)
            raise
        await self._note(Role.AGENT, heard)
        return heard

    async def _use(self, call: ToolCall) -> None:
        """Use a tool, and write it down; hanging up is no line of a transcript."""
        result = await self._toolbox.run(call, now=self._brief.now)
        if call.name == END:
            return
        at = self._media.elapsed_s()
        turn = Turn(Role.TOOL, result.text, at, at, call)
        self._turns.append(turn)
        await self._on_turn(turn)

    # --- endings ---

    async def _leave_message(self) -> EndReason:
        """Wait for the machine's greeting, then say the message; without one, hang up at once."""
        message = self._brief.voicemail_message
        if message:
            if not any(turn.role is Role.CALLEE for turn in self._turns):
                await self._hear(GREETING_S)
            await self._say(message)
            self.message_left = True
        return EndReason.VOICEMAIL

    async def _take_leave(self) -> EndReason:
        """Time is up: say so, if there is time for that."""
        words = self._phrases.time_is_up
        if len(words) / CHARACTERS_PER_SECOND < self._max_duration_s - self._media.elapsed_s():
            await self._say(words)
        return EndReason.MAX_DURATION
