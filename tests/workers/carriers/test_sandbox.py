"""The sandbox as a carrier: one dial an attempt, lookups, hang-ups from anywhere, legs that outlive us."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from schema.rules.calls import AnsweredBy, EndReason, Role
from tests.support.time import VirtualClock
from tests.workers.conversations import NOW, carry, number, order
from workers.carriers.base import CarrierError, CarrierRejected, Ended, LegOver, LegState
from workers.carriers.sandbox import SandboxCarrier
from workers.conversation.turns import Turn


async def words(*chunks: str):
    for chunk in chunks:
        yield chunk


# --- placing and finding


async def test_an_attempt_placed_twice_is_dialed_once(sandbox):
    first = await sandbox.place(order(number("00")))
    again = await asyncio.gather(*(sandbox.place(order(number("00"))) for _ in range(10)))

    assert set(again) == {first}
    assert await sandbox.dials("call.1") == 1


async def test_two_attempts_are_two_dials(sandbox):
    first = await sandbox.place(order(number("00"), "call.1"))
    second = await sandbox.place(order(number("00"), "call.2"))

    assert first != second
    assert (await sandbox.dials("call.1"), await sandbox.dials("call.2")) == (1, 1)


@pytest.mark.parametrize("to", ["12125550100", "+1", "+0123456789", "anonymous", ""])
async def test_what_is_no_number_is_refused(sandbox, to):
    with pytest.raises(CarrierRejected) as refused:
        await sandbox.place(order(to))

    assert (refused.value.reason, refused.value.sip_code, refused.value.q850) == (EndReason.INVALID_NUMBER, 484, 28)
    assert await sandbox.dials("call.1") == 0


async def test_an_unknown_attempt_is_not_found(sandbox):
    assert await sandbox.find("never") is None


async def test_an_unknown_leg_is_an_error(sandbox):
    for verb in (sandbox.attach, sandbox.hang_up):
        with pytest.raises(CarrierError, match="the sandbox knows no leg sbx_x"):
            await verb("sbx_x")


async def test_a_leg_lives_on_by_the_clock_alone(sandbox, clock):
    await sandbox.place(order(number("00"), max_duration_s=60.0))
    states = []
    for seconds in (0.0, 1.0, 4.0, 59.0, 1.0):
        await clock.sleep(seconds)
        leg = await sandbox.find("call.1")
        states.append((leg.state, leg.answered_by, leg.ending and (leg.ending.reason, leg.ending.duration_s)))

    assert states == [
        (LegState.SUBMITTED, None, None),
        (LegState.RINGING, None, None),
        (LegState.ANSWERED, AnsweredBy.HUMAN, None),
        (LegState.ANSWERED, AnsweredBy.HUMAN, None),
        (LegState.ENDED, AnsweredBy.HUMAN, (EndReason.MAX_DURATION, 60.0)),
    ]


async def test_speed_divides_what_is_simulated(tmp_path, clock):
    carrier = SandboxCarrier(tmp_path, clock, 10.0)
    call = await carry(carrier, clock, order(number("01")))
    await carrier.aclose()

    ended = call.events[-1]
    assert isinstance(ended, Ended)
    assert ended.ending.duration_s == 11.2
    assert (ended.at - NOW).total_seconds() == pytest.approx((4.8 + 11.2) / 10, abs=0.01)


def test_speed_must_be_greater_than_zero(tmp_path, clock):
    with pytest.raises(ValueError, match="greater than 0"):
        SandboxCarrier(tmp_path, clock, 0.0)


# --- hanging up


async def test_hanging_up_before_the_answer_cancels(sandbox, clock):
    reference = await sandbox.place(order(number("00")))
    session = await sandbox.attach(reference)
    await clock.sleep(2)

    await sandbox.hang_up(reference)

    events = [event async for event in session.events()]
    ended = events[-1]
    assert [type(event).__name__ for event in events] == ["Ringing", "Ended"]
    assert isinstance(ended, Ended)
    assert (ended.ending.reason, ended.ending.sip_code, ended.ending.duration_s) == (EndReason.CANCELLED, 487, 0.0)


async def test_hanging_up_cuts_the_agent_off_where_it_is(sandbox, clock):
    reference = await sandbox.place(order(number("00")))
    session = await sandbox.attach(reference)
    speaking = asyncio.create_task(session.media.speak(words("One two three four five six seven eight nine ten.")))
    await clock.sleep(4.8 + 0.6 + 1.0)

    await sandbox.hang_up(reference)

    with pytest.raises(LegOver) as over:
        await speaking
    assert over.value.heard is not None
    assert (over.value.heard.text, over.value.heard.start, over.value.heard.end) == ("One two three", 0.6, 1.6)
    assert over.value.ending is not None
    assert (over.value.ending.reason, over.value.ending.duration_s) == (EndReason.AGENT_HANGUP, 1.6)
    with pytest.raises(LegOver):
        await session.media.listen(1)


async def test_hanging_up_twice_changes_nothing(sandbox, clock):
    call = await carry(sandbox, clock, order(number("01")))

    await sandbox.hang_up(call.reference)

    assert call.leg is not None
    assert await sandbox.find("call.1") == call.leg


async def test_another_process_may_hang_up(tmp_path, sandbox, clock):
    other = SandboxCarrier(tmp_path, clock, 1.0)
    reference = await sandbox.place(order(number("06")))
    session = await sandbox.attach(reference)
    listening = asyncio.create_task(session.media.listen(60))
    await clock.sleep(4.8 + 10)

    await other.hang_up(reference)

    with pytest.raises(LegOver) as over:
        await listening
    assert over.value.ending is not None
    assert over.value.ending.reason is EndReason.AGENT_HANGUP
    assert 10.0 <= over.value.ending.duration_s <= 10.25  # noticed within a poll
    found = await other.find("call.1")
    assert found is not None
    assert found.ending == over.value.ending
    await session.close()
    await other.aclose()


async def test_no_poll_goes_on_when_no_leg_is_left(sandbox, clock):
    await carry(sandbox, clock, order(number("01")))
    await clock.sleep(1)

    assert clock.sleepers == 0


async def test_a_transfer_ends_the_leg_for_us(sandbox, clock):
    reference = await sandbox.place(order(number("06")))
    session = await sandbox.attach(reference)
    await clock.sleep(10)

    await sandbox.transfer(reference, "+12125550198")

    with pytest.raises(LegOver) as over:
        await session.media.listen(5)
    assert over.value.ending is not None
    assert over.value.ending.reason is EndReason.TRANSFERRED


async def test_tones_are_kept(sandbox, tmp_path):
    reference = await sandbox.place(order(number("00")))

    await sandbox.send_dtmf(reference, "12")
    await sandbox.send_dtmf(reference, "#")

    with sqlite3.connect(tmp_path / "sandbox.db") as ledger:
        assert ledger.execute("SELECT dtmf FROM legs").fetchall() == [("12#",)]
    ledger.close()


async def test_nobody_calls_back_over_http(sandbox):
    assert sandbox.read_callback({}, b"{}") == []


# --- after a crash


async def test_a_conversation_goes_on_where_it_stood(tmp_path, sandbox, clock):
    reference = await sandbox.place(order(number("00")))
    first = await sandbox.attach(reference)
    greeting = await first.media.speak(words("Hi, do you have a minute?"))
    answer = await first.media.listen(10)
    assert answer is not None
    await sandbox.aclose()  # as good as dead: nothing is ended at the carrier
    await clock.sleep(20)

    second = SandboxCarrier(tmp_path, clock, 1.0)
    call = await carry(
        second,
        clock,
        order(number("00")),
        reference=reference,
        history=[
            Turn(Role.AGENT, greeting.text, greeting.start, greeting.end),
            Turn(Role.CALLEE, answer.text, answer.start, answer.end),
        ],
    )
    await second.aclose()

    assert answer.text == "Hello. Yes, I have a minute. What is it about?"
    assert [text for _, text in call.said()[:2]] == [
        "It is about a product demo. A colleague would explain it to you in a few minutes. Would you be interested?",
        "That sounds interesting. When could we talk about it?",
    ]
    assert call.turns[0].start == pytest.approx(answer.end + 20, abs=0.1)
    assert [what[0] for what in call.actions.done] == ["book_appointment"]
    assert [type(event).__name__ for event in call.events] == ["Ringing", "Answered", "Ended"]


async def test_a_callee_who_hears_nothing_asks_and_at_last_hangs_up(sandbox, clock):
    reference = await sandbox.place(order(number("00")))
    session = await sandbox.attach(reference)
    heard = [await session.media.listen(60), await session.media.listen(60)]
    with pytest.raises(LegOver) as over:
        await session.media.listen(60)

    assert [(turn.text, turn.start) for turn in heard if turn] == [("Hello?", 3.0), ("Hello? Is anybody there?", 15.4)]
    assert over.value.ending is not None
    assert over.value.ending.reason is EndReason.CALLEE_HANGUP


async def test_a_leg_that_nobody_speaks_on_ends_at_its_maximum_duration(sandbox):
    reference = await sandbox.place(order(number("06"), max_duration_s=30.0))
    session = await sandbox.attach(reference)

    events = [event async for event in session.events()]

    ended = events[-1]
    assert isinstance(ended, Ended)
    assert (ended.ending.reason, ended.ending.duration_s) == (EndReason.MAX_DURATION, 30.0)


async def test_attaching_after_the_end_tells_the_whole_story(sandbox, clock):
    call = await carry(sandbox, clock, order(number("01")))

    session = await sandbox.attach(call.reference)

    assert [event async for event in session.events()] == call.events
    with pytest.raises(LegOver):
        await session.media.listen(1)


async def test_letting_go_of_a_leg_does_not_end_it(sandbox, clock):
    reference = await sandbox.place(order(number("06")))
    session = await sandbox.attach(reference)
    following = asyncio.create_task(anext(session.events(), None))
    await clock.sleep(0.1)

    await session.close()

    assert await following is None
    await clock.sleep(10)
    leg = await sandbox.find("call.1")
    assert leg is not None
    assert leg.state is LegState.ANSWERED


@pytest.mark.parametrize(
    ("xx", "after_s", "reason"), [("40", 1.5, EndReason.BUSY), ("47", 20.0, EndReason.CALLEE_HANGUP)]
)
async def test_a_leg_goes_on_when_the_clock_was_set_back(sandbox, clock, xx, after_s, reason):
    """A network has a clock of its own, which nobody here sets: what was about to happen does not wait an hour."""
    reference = await sandbox.place(order(number(xx)))
    clock._start -= timedelta(hours=1)
    began = clock.now()

    call = await carry(sandbox, clock, order(number(xx)), reference=reference)

    assert call.leg is not None
    assert call.leg.ending is not None
    assert call.leg.ending.reason is reason
    assert began < call.leg.ending.at <= began + timedelta(seconds=after_s)
    assert await sandbox.dials("call.1") == 1


async def test_a_conversation_goes_on_when_the_clock_was_set_back(tmp_path, sandbox, clock):
    reference = await sandbox.place(order(number("00")))
    first = await sandbox.attach(reference)
    await first.media.speak(words("Hi, do you have a minute?"))
    await first.media.listen(10)
    said = await sandbox.find("call.1")
    await sandbox.aclose()
    clock._start -= timedelta(hours=1)

    second = SandboxCarrier(tmp_path, clock, 1.0)
    await second.attach(reference)
    leg = await second.find("call.1")
    await second.aclose()

    assert said is not None
    assert leg is not None
    assert (leg.state, leg.answered_by) == (LegState.ANSWERED, AnsweredBy.HUMAN)
    assert said.answered_at - leg.answered_at == pytest.approx(timedelta(hours=1), abs=timedelta(seconds=0.1))


# --- what the agent says arrives as it is thought of


async def test_words_that_come_slowly_take_as_long_as_they_take(sandbox, clock):
    async def slowly():
        await clock.sleep(2)
        yield "Let me see. "
        await clock.sleep(5)
        yield "Yes, Tuesday."

    reference = await sandbox.place(order(number("06")))
    session = await sandbox.attach(reference)

    heard = await session.media.speak(slowly())

    assert (heard.text, heard.start) == ("Let me see. Yes, Tuesday.", 2.0)
    assert heard.end == pytest.approx(2 + 5 + 13 / 15, abs=0.01)


async def test_words_that_come_quickly_flow_at_the_pace_of_speech(sandbox):
    reference = await sandbox.place(order(number("06")))
    session = await sandbox.attach(reference)

    heard = await session.media.speak(words("One ", "two ", "three."))

    assert (heard.text, heard.start, heard.end) == ("One two three.", 0.6, pytest.approx(0.6 + 14 / 15, abs=0.01))


async def test_saying_nothing_takes_no_time(sandbox):
    reference = await sandbox.place(order(number("06")))
    session = await sandbox.attach(reference)

    heard = await session.media.speak(words())

    assert (heard.text, heard.start, heard.end) == ("", 0.0, 0.0)


async def test_a_failure_of_the_words_is_the_speakers(sandbox):
    async def broken():
        yield "One "
        raise RuntimeError("no more words")

    reference = await sandbox.place(order(number("06")))
    session = await sandbox.attach(reference)

    with pytest.raises(RuntimeError, match="no more words"):
        await session.media.speak(broken())


# --- several processes

PLACE = """
import asyncio, sys
from pathlib import Path
from schema.clock import SystemClock
from tests.workers.conversations import number, order
from workers.carriers.sandbox import SandboxCarrier

async def main():
    carrier = SandboxCarrier(Path(sys.argv[1]), SystemClock(), 100.0)
    for line in range(50):
        await carrier.place(order(number("00"), f"call{line}.1"))
    await carrier.aclose()

asyncio.run(main())
"""


async def test_processes_that_race_for_the_same_attempts_dial_each_once(tmp_path):
    root = Path(__file__).parents[3]
    racers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", PLACE, str(tmp_path / "shared"), cwd=root)
        for _ in range(4)
    ]

    assert [await racer.wait() for racer in racers] == [0, 0, 0, 0]

    carrier = SandboxCarrier(tmp_path / "shared", VirtualClock(NOW, auto=True), 1.0)
    assert [await carrier.dials(f"call{line}.1") for line in range(50)] == [1] * 50
    await carrier.aclose()


async def test_a_leg_that_nobody_carries_can_be_hung_up(tmp_path, sandbox, clock):
    reference = await sandbox.place(order(number("06")))
    await clock.sleep(4.8 + 12.0)

    await sandbox.hang_up(reference)

    await clock.sleep(60)
    leg = await sandbox.find("call.1")
    assert leg is not None
    assert leg.ending is not None
    assert (leg.ending.reason, leg.ending.duration_s) == (EndReason.AGENT_HANGUP, 12.0)
