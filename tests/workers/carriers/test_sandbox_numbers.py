"""Each magic number of the sandbox ends as the table in `telephony.md` says, and says the same every time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schema.rules.calls import AnsweredBy, EndReason, Outcome, Role, Sentiment
from tests.support.time import VirtualClock
from tests.workers.conversations import NOW, Call, carry, number, order
from workers.carriers.base import Answered, CarrierBusy, Ended, LegState, Ringing, SubmissionUnknown
from workers.carriers.sandbox import SandboxCarrier
from workers.carriers.sandbox_numbers import SCENARIOS, scenario_of
from workers.conversation.analysis import analyse
from workers.conversation.scripted import A_COLLEAGUE, ANYTHING_ELSE, INTERESTED_IN_IT


def kinds(call: Call) -> list[str]:
    return [type(event).__name__ for event in call.events]


async def analysis(call: Call):
    assert call.conclusion is not None
    return await analyse(call.turns, answered_by=call.conclusion.answered_by, end_reason=call.conclusion.reason)


# --- which scenario a number has


def test_every_row_of_the_table_is_there():
    assert list(SCENARIOS) == [f"{xx:02}" for xx in [*range(10), *range(40, 50)]]


@pytest.mark.parametrize("xx", SCENARIOS)
@pytest.mark.parametrize("area", ["212", "555", "989"])
def test_a_magic_number_is_its_last_two_digits_in_every_area(area, xx):
    assert scenario_of(f"+1{area}55501{xx}") == xx


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("+12125550110", "09"),  # of the fictional range, but in no row
        ("+12125550210", "02"),  # not of the fictional range
        ("+4930123456", "03"),
        ("+442071838750", "07"),
        ("+15551234567", "00"),  # the example of `rest-api.md`
    ],
)
def test_every_other_number_has_a_persona_by_its_hash(other, expected):
    assert scenario_of(other) == expected


def test_the_hash_spreads_numbers_over_all_ten_personas():
    found = [scenario_of(f"+4930{1_000_000 + line}") for line in range(2_000)]

    assert {xx: 150 < found.count(xx) < 250 for xx in set(found)} == {f"{xx:02}": True for xx in range(10)}


# --- 00 to 09: somebody, or something, answers


async def test_00_is_interested_and_books_an_appointment(sandbox, clock):
    start, end = "2025-01-16T10:00:00+00:00", "2025-01-16T10:30:00+00:00"

    call = await carry(sandbox, clock, order(number("00")))

    assert call.said() == [
        ("agent", "Hi, this is Sarah calling from Acme. Do you have a minute?"),
        ("callee", "Hello. Yes, I have a minute. What is it about?"),
        ("agent", f"It is about a product demo. {A_COLLEAGUE} {INTERESTED_IN_IT}"),
        ("callee", "That sounds interesting. When could we talk about it?"),
        ("agent", "Very good. Would Thursday, 16 January at 10:00 work for you?"),
        ("callee", "Yes, that works for me. Please book it."),
        ("tool", f"book_appointment(start={start}, end={end}, title=A product demo): Booked."),
        ("agent", f"Wonderful, you are booked for Thursday, 16 January at 10:00. {ANYTHING_ELSE}"),
        ("callee", "No, that is all. Thank you."),
        ("agent", "Thank you for your time. Goodbye."),
    ]
    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.AGENT_HANGUP
    assert [what[0] for what in call.actions.done] == ["book_appointment"]
    assert kinds(call) == ["Ringing", "Answered", "Ended"]
    found = await analysis(call)
    assert (found.outcome, found.sentiment) == (Outcome.APPOINTMENT_BOOKED, Sentiment.POSITIVE)
    assert found.summary == "Prospect is interested; appointment booked for Thursday, 16 January 2025 at 10:00."


async def test_01_is_not_interested(sandbox, clock):
    call = await carry(sandbox, clock, order(number("01")))

    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.AGENT_HANGUP
    assert call.said()[1:] == [
        ("callee", "No thank you, I'm not interested."),
        ("agent", "I understand. Thank you for your time. Goodbye."),
    ]
    found = await analysis(call)
    assert (found.outcome, found.sentiment) == (Outcome.NOT_INTERESTED, Sentiment.NEUTRAL)
    assert found.summary == "Prospect is not interested."


async def test_02_opts_out_and_lands_on_the_do_not_call_list(sandbox, clock):
    call = await carry(sandbox, clock, order(number("02")))

    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.OPTED_OUT
    assert call.actions.done == [("do_not_call", "Please do not call me again. Take me off your list.")]
    found = await analysis(call)
    assert (found.outcome, found.sentiment) == (Outcome.DO_NOT_CALL, Sentiment.NEGATIVE)


async def test_03_asks_to_be_called_back(sandbox, clock):
    call = await carry(sandbox, clock, order(number("03")))

    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.AGENT_HANGUP
    assert call.said()[-1] == ("agent", "Of course. I will call you back tomorrow afternoon. Goodbye.")
    found = await analysis(call)
    assert found.outcome is Outcome.CALLBACK_REQUESTED
    assert found.action_items == ["Call back tomorrow afternoon."]
    assert found.extracted == {"callbackWhen": "tomorrow afternoon"}


async def test_04_is_a_voicemail_that_takes_a_message(sandbox, clock):
    call = await carry(sandbox, clock, order(number("04")))

    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.VOICEMAIL
    assert call.conclusion.message_left
    assert [role for role, _ in call.said()] == ["callee", "agent"]
    assert call.turns[0].text.endswith("(beep)")
    assert call.turns[1].start > call.turns[0].end
    assert isinstance(call.events[1], Answered)
    assert call.events[1].by is AnsweredBy.VOICEMAIL
    assert (await analysis(call)).outcome is Outcome.VOICEMAIL_LEFT


async def test_04_without_a_message_to_leave_is_hung_up_at_once(sandbox, clock):
    call = await carry(sandbox, clock, order(number("04")), voicemail_message=None)

    assert call.conclusion is not None
    assert (call.conclusion.reason, call.conclusion.message_left) == (EndReason.VOICEMAIL, False)
    assert call.turns == []
    assert (await analysis(call)).outcome is Outcome.VOICEMAIL_REACHED


async def test_04_gives_itself_away_when_the_carrier_was_not_asked_to_tell(sandbox, clock):
    call = await carry(sandbox, clock, order(number("04"), detect_voicemail=False))

    assert isinstance(call.events[1], Answered)
    assert call.events[1].by is AnsweredBy.UNKNOWN
    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.VOICEMAIL
    assert call.conclusion.answered_by is AnsweredBy.VOICEMAIL
    assert call.said()[-1] == ("agent", "Hi, this is Sarah from Acme. Please call us back.")


async def test_05_screens_the_call_and_puts_through_whoever_says_who_and_why(sandbox, clock):
    call = await carry(sandbox, clock, order(number("05")))

    assert isinstance(call.events[1], Answered)
    assert call.events[1].by is AnsweredBy.CALL_SCREENING
    assert call.said()[1] == ("agent", "This is Sarah from Acme. I am calling about a product demo.")
    assert call.said()[2][1].startswith("Thank you, please stay on the line. Hello, this is Robin")
    assert call.said()[3] == ("agent", "Hi, this is Sarah calling from Acme. Do you have a minute?")
    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.CALLEE_HANGUP


async def test_05_hangs_up_on_whoever_does_not_say_so(sandbox, clock):
    class Evasive:
        async def reply(self, brief, history, tools):
            yield "It is a surprise."

    call = await carry(sandbox, clock, order(number("05")), brain=Evasive())

    assert call.said()[-1] == ("callee", "Sorry, the person you are calling is not available. Goodbye.")
    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.CALL_SCREENED
    assert call.conclusion.ending is not None
    assert call.conclusion.ending.reason is EndReason.CALL_SCREENED
    assert (await analysis(call)).outcome is Outcome.SCREENED


async def test_06_is_silent(sandbox, clock):
    call = await carry(sandbox, clock, order(number("06")), silence_timeout_s=10)

    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.SILENCE_TIMEOUT
    assert [(turn.role, turn.text, turn.start) for turn in call.turns] == [
        (Role.AGENT, "Hi, this is Sarah calling from Acme. Do you have a minute?", 0.6),
        (Role.AGENT, "Are you still there?", 15.07),
    ]
    assert (await analysis(call)).outcome is Outcome.NO_CONVERSATION


async def test_07_talks_over_the_agent_whose_turn_is_cut_to_what_was_heard(sandbox, clock):
    call = await carry(sandbox, clock, order(number("07")))

    assert call.said()[:4] == [
        ("agent", "Hi, this is Sarah"),
        ("callee", "Sorry, who is this?"),
        ("agent", "This is Sarah from Acme. I am"),
        ("callee", "Wait, wait. What exactly do you want from me?"),
    ]
    assert (call.turns[0].end, call.turns[1].start) == (2.1, 2.1)
    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.AGENT_HANGUP


async def test_08_is_angry(sandbox, clock):
    call = await carry(sandbox, clock, order(number("08")))

    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.CALLEE_HANGUP
    assert call.said()[-1] == ("callee", "This is ridiculous. I am fed up with these terrible calls!")
    found = await analysis(call)
    assert (found.outcome, found.sentiment) == (Outcome.CONVERSATION, Sentiment.NEGATIVE)
    assert found.summary == "Callee was angry about the call."


@pytest.mark.parametrize("max_duration_s", [10.0, 45.0, 120.0, 600.0])
async def test_09_talks_until_the_maximum_duration(sandbox, clock, max_duration_s):
    call = await carry(sandbox, clock, order(number("09"), max_duration_s=max_duration_s))

    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.MAX_DURATION
    assert call.leg is not None
    assert call.leg.ending is not None
    assert max_duration_s - 6 < call.leg.ending.duration_s <= max_duration_s
    assert call.turns[-1].end <= max_duration_s


# --- 40 to 49: everything that goes wrong


@pytest.mark.parametrize(
    ("xx", "codes", "events", "after_s"),
    [
        ("40", (EndReason.BUSY, 486, 17), ["Ended"], 1.5),
        ("41", (EndReason.NO_ANSWER, 480, 19), ["Ringing", "Ended"], 30.8),
        ("42", (EndReason.REJECTED, 603, 21), ["Ringing", "Ended"], 6.0),
        ("43", (EndReason.UNALLOCATED_NUMBER, 404, 1), ["Ended"], 1.0),
    ],
)
async def test_40_to_43_are_not_answered(tmp_path, xx, codes, events, after_s):
    clock = VirtualClock(NOW, auto=True)
    sandbox = SandboxCarrier(tmp_path, clock, 1.0)

    call = await carry(sandbox, clock, order(number(xx)))
    await sandbox.aclose()

    assert kinds(call) == events
    ended = call.events[-1]
    assert isinstance(ended, Ended)
    assert (ended.ending.reason, ended.ending.sip_code, ended.ending.q850) == codes
    assert (ended.at - NOW).total_seconds() == pytest.approx(after_s)
    assert ended.ending.duration_s == 0.0
    assert call.leg is not None
    assert (call.leg.state, call.leg.answered_at) == (LegState.ENDED, None)
    assert call.leg.ending == ended.ending


async def test_41_rings_as_long_as_the_order_says(sandbox, clock):
    call = await carry(sandbox, clock, order(number("41"), ring_timeout_s=12.0))

    assert (call.events[-1].at - NOW).total_seconds() == pytest.approx(12.8)


async def test_somebody_slow_is_not_answered_within_a_short_ring_timeout(sandbox, clock):
    call = await carry(sandbox, clock, order(number("00"), ring_timeout_s=2.0))

    assert call.leg is not None
    assert call.leg.ending is not None
    assert call.leg.ending.reason is EndReason.NO_ANSWER


async def test_44_refuses_each_call_once_and_then_answers(sandbox, clock):
    seen = []
    for name in ("a", "b", "c"):
        with pytest.raises(CarrierBusy) as refused:
            await sandbox.place(order(number("44"), f"{name}.1"))
        assert await sandbox.find(f"{name}.1") is None
        await clock.sleep(refused.value.retry_after_s)
        call = await carry(sandbox, clock, order(number("44"), f"{name}.2"))
        assert call.conclusion is not None
        seen.append((refused.value.retry_after_s, call.conclusion.reason, await sandbox.dials(f"{name}.2")))

    assert seen == [(5.0, EndReason.AGENT_HANGUP, 1)] * 3


async def test_44_accepts_the_same_attempt_when_it_is_tried_again(sandbox):
    with pytest.raises(CarrierBusy):
        await sandbox.place(order(number("44"), "a.1"))

    reference = await sandbox.place(order(number("44"), "a.1"))

    assert await sandbox.place(order(number("44"), "a.1")) == reference
    assert await sandbox.dials("a.1") == 1


async def test_45_does_not_answer_but_was_placed(sandbox, clock):
    with pytest.raises(SubmissionUnknown):
        await sandbox.place(order(number("45")))

    leg = await sandbox.find("call.1")

    assert leg is not None
    assert leg.state is LegState.RINGING
    assert await sandbox.dials("call.1") == 1
    call = await carry(sandbox, clock, order(number("45")), reference=leg.reference)
    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.AGENT_HANGUP


async def test_46_does_not_answer_and_was_not_placed(sandbox, clock):
    for _ in range(2):
        with pytest.raises(SubmissionUnknown):
            await sandbox.place(order(number("46")))

    assert await sandbox.find("call.1") is None
    assert await sandbox.dials("call.1") == 0
    assert clock.monotonic() == 6.0


async def test_47_hangs_up_in_the_middle_of_a_sentence(sandbox, clock):
    call = await carry(sandbox, clock, order(number("47")))

    assert call.said()[-1] == ("agent", "It is about a product demo. A")
    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.CALLEE_HANGUP
    assert call.conclusion.ending is not None
    assert call.conclusion.ending.duration_s == call.turns[-1].end == 9.27


async def test_48_reports_late_twice_and_out_of_order(sandbox, clock):
    call = await carry(sandbox, clock, order(number("48")))

    assert kinds(call) == ["Answered", "Ringing", "Answered", "Ended", "Answered", "Ringing", "Ended"]
    assert len({event.event_id for event in call.events}) == 3
    assert call.turns[0].start == 2.0  # the agent heard of the answer two seconds late
    assert call.conclusion is not None
    assert call.conclusion.reason is EndReason.AGENT_HANGUP


async def test_49_ends_and_nobody_is_told(sandbox, clock):
    call = await carry(sandbox, clock, order(number("49")))

    assert kinds(call) == ["Ringing", "Answered"]
    assert call.conclusion is not None
    assert (call.conclusion.reason, call.conclusion.ending) == (EndReason.SILENCE_TIMEOUT, None)
    assert call.leg is not None
    assert call.leg.ending is not None
    assert call.leg.ending.reason is EndReason.CALLEE_HANGUP
    assert call.leg.ending.duration_s == next(turn.end for turn in call.turns if "door" in turn.text)


# --- the same every time


@pytest.mark.parametrize("xx", [xx for xx, scenario in SCENARIOS.items() if scenario.persona])
async def test_two_runs_of_a_call_read_the_same(tmp_path, xx):
    runs = []
    for run, speed in (("a", 1.0), ("b", 20.0)):
        clock = VirtualClock(NOW, auto=True)
        carrier = SandboxCarrier(tmp_path / run, clock, speed)
        attempt = order(number(xx))
        try:
            reference = await carrier.place(attempt)
        except (CarrierBusy, SubmissionUnknown):
            reference = await carrier.place(attempt)
        call = await carry(carrier, clock, attempt, reference=reference)
        assert call.leg is not None
        assert call.conclusion is not None
        runs.append(([replace(turn, call=None) for turn in call.turns], call.conclusion.reason))
        await carrier.aclose()

    assert runs[0][1] == runs[1][1]
    if xx == "48":  # how late an event comes is real time to the agent
        assert [turn.text for turn in runs[0][0]] == [turn.text for turn in runs[1][0]]
    else:
        assert runs[0] == runs[1]


async def test_ringing_and_answer_come_when_they_happen(sandbox, clock):
    call = await carry(sandbox, clock, order(number("00")))

    ringing, answered, _ = call.events
    assert isinstance(ringing, Ringing)
    assert (ringing.at - NOW).total_seconds() == pytest.approx(0.8)
    assert (answered.at - NOW).total_seconds() == pytest.approx(4.8)
