"""The callee's ear and mouth in the sandbox.

Two clocks run here. *Call time*, seconds from the answer, is what transcripts show. It advances by what is simulated
(pauses, speech), which takes `1 / speed` of that in real time, and by the time our own side makes the callee wait,
which is real and counts as it is. Waits below a reaction time count as nothing, so two runs of a call read the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

from schema.rules.calls import EndReason
from workers.carriers.base import LegOver, Utterance
from workers.carriers.sandbox_numbers import Callbacks
from workers.carriers.sandbox_personas import CHARACTERS_PER_SECOND, Line

if TYPE_CHECKING:
    from workers.carriers.sandbox_leg import SandboxLeg

GAP_S = 0.6
"""Between the callee's last word and the agent's first, however fast the brain is; longer if it thinks for longer."""
JITTER_S = 0.5
"""Real seconds by which words may be late without being heard as a pause."""
CATCH_UP_S = 1.0
"""A process that was frozen for longer than this goes on from where it was."""
EPSILON_S = 1e-6


class SandboxMedia:
    """`TextMedia` of the sandbox. The call stands at `_now_s` (call time) since `_now_at` (monotonic clock)."""

    def __init__(self, leg: SandboxLeg) -> None:
        row = leg.row
        self._leg = leg
        self._clock = leg.clock
        self._speed = leg.speed
        self._persona = leg.scenario.persona
        self._said = [int(index) for index in row.said.split(",") if index]
        self._now_s = row.position_s
        self._now_at = float("inf") if row.position_at is None else leg.at(row.position_at)  # inf: nobody will answer
        self._until: tuple[float, float] | None = None  # call time and clock at the end of what is being said
        self._heard = ""
        self._silent_s = 0.0
        self._patience = 0
        self._limit_s = row.max_duration_s
        self._dead = False

    # --- call time ---

    def elapsed_s(self) -> float:
        now = self._clock.monotonic()
        if self._until is not None:
            end_s, end_at = self._until
            return round(max(self._now_s, min(end_s, end_s - (end_at - now) * self._speed)), 2)
        waited = now - self._now_at
        return round(min(self._limit_s, self._now_s + (waited if waited > JITTER_S else 0.0)), 2)

    def limit_at(self) -> float:
        """When the maximum duration is over if nothing more is said after what is being said now."""
        now_s, now_at = self._until or (self._now_s, self._now_at)
        return now_at + (self._limit_s - now_s) / min(self._speed, 1.0)

    def _count_wait(self) -> None:
        """Time our own side let pass is real and counts as it is, unless it is too short to be noticed."""
        waited = self._clock.monotonic() - self._now_at
        if waited > JITTER_S:
            self._now_s += waited
            self._now_at += waited

    async def _pass_until(self, end_s: float, end_at: float) -> None:
        """Let call time run to `end_s`, which is `end_at` on the clock; the leg's end or its limit cuts it short."""
        reached_s = min(end_s, self._limit_s)
        reached_at = end_at - (end_s - reached_s) / self._speed
        self._until = (reached_s, reached_at)
        await self._leg.wait_until(reached_at)
        if self._leg.ending is not None:
            reached_s, reached_at = self.elapsed_s(), self._clock.monotonic()
        self._until = None
        self._now_s, self._now_at = reached_s, max(reached_at, self._clock.monotonic() - CATCH_UP_S)
        if self._leg.ending is None and self._now_s >= self._limit_s:
            await self._leg.end(EndReason.MAX_DURATION)

    async def _pass(self, seconds: float) -> None:
        await self._pass_until(self._now_s + seconds, self._now_at + seconds / self._speed)
        self._check()

    def _check(self, heard: Utterance | None = None) -> None:
        if self._leg.ending is not None:
            raise LegOver(self._leg.ending, heard)

    async def _answered(self) -> None:
        if not await self._leg.answered():
            raise LegOver(self._leg.ending)

    # --- TextMedia ---

    async def speak(self, words: AsyncIterator[str]) -> Utterance:
        await self._answered()
        speech = _Speech(self._now_s, self._now_at, self._speed)
        reply = None if self._persona is None or self._dead else self._persona.cut_in(self._said)
        cut_in_s = reply.cuts_in_s if reply else None
        await self._take_until_over(words, speech, cut_in_s)
        if not speech.text:
            self._count_wait()
            self._check()
            return Utterance("", round(self._now_s, 2), round(self._now_s, 2))
        end_s = speech.end_s
        interrupted = cut_in_s is not None and speech.start_s + cut_in_s < end_s
        if cut_in_s is not None and interrupted:
            end_s = speech.start_s + cut_in_s
        self._now_s, self._now_at = speech.start_s, speech.start_at
        await self._pass_until(end_s, speech.end_at - (speech.end_s - end_s) / self._speed)
        heard = speech.until(self._now_s, interrupted)
        self._check(heard)
        if reply and interrupted and not reply.says:
            await self._hang_up()
            self._check(heard)
        self._heard = f"{self._heard} {heard.text}"
        self._silent_s, self._patience = 0.0, 0
        await self._progress()
        self._check(heard)
        return heard

    async def _take_until_over(self, words: AsyncIterator[str], speech: _Speech, cut_in_s: float | None) -> None:
        """Take the words as they come, no more of them than will be heard, and none once the leg is over."""

        async def take() -> None:
            async for chunk in words:
                if not chunk:
                    continue
                speech.add(chunk, self._clock.monotonic())
                self._until = (speech.end_s, speech.end_at)
                if speech.end_s >= self._limit_s or (cut_in_s is not None and speech.end_s > speech.start_s + cut_in_s):
                    return

        taking = asyncio.ensure_future(take())
        try:
            await self._leg.wait_until(self.limit_at(), taking)
            if taking.done():
                taking.result()
        finally:
            self._until = None
            if not taking.done():
                taking.cancel()
                with suppress(asyncio.CancelledError):
                    await taking

    async def listen(self, timeout_s: float) -> Utterance | None:
        await self._answered()
        self._check()
        self._count_wait()
        line, index, due_s = self._next()
        if line is None or due_s > timeout_s:
            self._silent_s += timeout_s
            await self._pass(timeout_s)
            return None
        await self._pass(due_s)
        if index is not None:
            self._said.append(index)
            self._heard = ""
        else:
            self._patience += 1
        self._silent_s = 0.0
        start_s = self._now_s
        spoken_s = len(line.says) / CHARACTERS_PER_SECOND
        await self._progress(spoken_s)
        await self._pass_until(start_s + spoken_s, self._now_at + spoken_s / self._speed)
        said = _whole_words(line.says, _letters(line.says, start_s, self._now_s))
        heard = Utterance(said, round(start_s, 2), round(self._now_s, 2), interrupted=said != line.says)
        if heard.interrupted or not said:
            if line.hangs_up and self._leg.ending is None:
                await self._hang_up()
            self._check(heard if said else None)
            return None
        if line.hangs_up:
            await self._hang_up()
        return heard

    def _next(self) -> tuple[Line | None, int | None, float]:
        """What the callee says next, which of its lines that is, and in how many seconds, if nothing else is heard."""
        if self._persona is None or self._dead:
            return None, None, 0.0
        if self._heard or (self._persona.speaks_first and not self._said):
            index = self._persona.reply(self._said, self._heard)
            if index is not None:
                line = self._persona.lines[index]
                return line, index, max(0.0, line.pause_s - self._silent_s)
        if self._patience < len(self._persona.patience):
            patience = self._persona.patience[self._patience]
            line = Line(patience.says, hangs_up=patience.hangs_up)
            return line, None, max(0.0, patience.after_s - self._silent_s)
        return None, None, 0.0

    async def _hang_up(self) -> None:
        self._dead = self._leg.scenario.callbacks is Callbacks.NO_FINAL
        await self._leg.end(EndReason.CALLEE_HANGUP, quietly=self._dead)
        if self._dead:
            self._limit_s = float("inf")

    async def _progress(self, ahead_s: float = 0.0) -> None:
        if not self._dead:
            said = ",".join(map(str, self._said))
            await self._leg.progress(said, self._now_s + ahead_s, self._now_at + ahead_s / self._speed)


class _Speech:
    """The agent's words as they come in, laid out in time."""

    def __init__(self, now_s: float, now_at: float, speed: float) -> None:
        self._speed = speed
        self._now_s = now_s
        self._now_at = now_at
        self._chunks: list[tuple[str, float]] = []  # and the call time at which it starts
        self.start_s = self.end_s = now_s
        self.start_at = self.end_at = now_at

    @property
    def text(self) -> str:
        return "".join(chunk for chunk, _ in self._chunks)

    def add(self, chunk: str, at: float) -> None:
        """More words, which came at that moment of the clock."""
        if not self._chunks:
            thinking = at - self._now_at
            self.start_s = self.end_s = self._now_s + max(GAP_S, thinking)
            self.start_at = self.end_at = max(at, self._now_at + GAP_S / self._speed)
        elif (late := at - self.end_at) > JITTER_S:
            self.end_s += late
            self.end_at = at
        seconds = len(chunk) / CHARACTERS_PER_SECOND
        self._chunks.append((chunk, self.end_s))
        self.end_s += seconds
        self.end_at += seconds / self._speed

    def until(self, now_s: float, interrupted: bool) -> Utterance:
        """What had been said by then, in whole words."""
        if now_s >= self.end_s - EPSILON_S:
            return Utterance(self.text.strip(), round(self.start_s, 2), round(self.end_s, 2), interrupted)
        letters = sum(_letters(chunk, start_s, now_s) for chunk, start_s in self._chunks)
        return Utterance(_whole_words(self.text, letters).strip(), round(self.start_s, 2), round(now_s, 2), True)


def _letters(text: str, start_s: float, now_s: float) -> int:
    return max(0, min(len(text), int((now_s - start_s) * CHARACTERS_PER_SECOND + EPSILON_S)))


def _whole_words(text: str, letters: int) -> str:
    return text if letters >= len(text) else text[: letters + 1].rpartition(" ")[0]
