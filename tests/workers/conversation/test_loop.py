"""The turn loop: greeting, turns, interruption, silence, time, machines, tools, ends, and going on after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from schema.errors import Invalid
from schema.rules.calls import AnsweredBy, EndReason, Role
from tests.workers.conversation.lines import Line, Replies
from tests.workers.conversations import NOW, Actions, brief, toolbox
from workers.carriers.base import Ending, LegOver, Utterance
from workers.conversation.brain import BrainError
from workers.conversation.loop import Conclusion, converse
from workers.conversation.phrases import PHRASES
from workers.conversation.turns import ToolCall, Turn

GREETING = "Hello from Acme."
END = ToolCall("end_call")
HUNG_UP = Ending(EndReason.CALLEE_HANGUP, NOW, 9.0, 200, 16)


@dataclass
class Held:
    conclusion: Conclusion
    turns: list[Turn]
    actions: Actions

    def said(self) -> list[tuple[str, str]]:
        return [(turn.role.value, turn.text) for turn in self.turns]


@dataclass
class Talk:
    """A conversation to hold."""

    line: Line
    brain: Replies
    actions: Actions = field(default_factory=Actions)
    answered_by: AnsweredBy = AnsweredBy.HUMAN
    history: Sequence[Turn] = ()
    max_duration_s: float = 600.0
    tools: tuple[object, ...] = ("book_appointment",)
    turns: list[Turn] = field(default_factory=list)

    async def hold(self, **changes: object) -> Held:
        async def heard(turn: Turn) -> None:
            self.turns.append(turn)

        conclusion = await converse(
            self.line,
            self.brain,
            brief(**{"first_message": GREETING, **changes}),
            toolbox(self.actions, self.tools),  # type: ignore[arg-type]
            heard,
            answered_by=self.answered_by,
            silence_timeout_s=10.0,
            max_duration_s=self.max_duration_s,
            history=self.history,
        )
        return Held(conclusion, self.turns, self.actions)


# --- turns


async def test_greeting_turns_and_goodbye_in_order_and_in_time():
    line, brain = Line(["Who is this?"]), Replies([["It is ", "Acme. ", "Goodbye.", END]])

    held = await Talk(line, brain).hold()

    assert held.turns == [
        Turn(Role.AGENT, GREETING, 0.0, 3.0),
        Turn(Role.CALLEE, "Who is this?", 3.0, 4.0),
        Turn(Role.AGENT, "It is Acme. Goodbye.", 4.0, 8.0),
    ]
    assert brain.asked == [(GREETING, "Who is this?")]
    assert held.conclusion == Conclusion(EndReason.AGENT_HANGUP, AnsweredBy.HUMAN)


async def test_without_a_first_message_the_agent_waits_for_hello():
    line, brain = Line(["Hello?"]), Replies([["Hi. Goodbye.", END]])

    held = await Talk(line, brain).hold(first_message=None)

    assert line.timeouts == [4.0]
    assert held.said() == [("callee", "Hello?"), ("agent", "Hi. Goodbye.")]


async def test_without_a_first_message_and_a_hello_the_agent_speaks_first():
    line, brain = Line([None, "Yes?"]), Replies([["Hi."], ["Goodbye.", END]])

    held = await Talk(line, brain).hold(first_message=None)

    assert held.said() == [("agent", "Hi."), ("callee", "Yes?"), ("agent", "Goodbye.")]


async def test_the_brain_is_told_only_what_was_heard_of_it():
    line = Line(["Wait!", "Go on."], cut_after_words={1: 2})
    brain = Replies([["One two three four.", END], ["Goodbye.", END]])

    held = await Talk(line, brain, history=()).hold()

    assert held.said()[1:4] == [("callee", "Wait!"), ("agent", "One two"), ("callee", "Go on.")]
    assert brain.asked[1] == (GREETING, "Wait!", "One two", "Go on.")
    assert held.conclusion.reason is EndReason.AGENT_HANGUP  # by the second reply: who is cut off does not hang up


async def test_an_agent_that_has_nothing_to_say_listens_again():
    line, brain = Line(["Hm.", "Hello?"]), Replies([[], ["Goodbye.", END]])

    held = await Talk(line, brain).hold()

    assert held.said()[1:] == [("callee", "Hm."), ("callee", "Hello?"), ("agent", "Goodbye.")]


# --- silence and time


async def test_silence_is_asked_about_once_and_then_ends_the_call():
    line = Line([None, None])

    held = await Talk(line, Replies()).hold()

    assert held.said() == [("agent", GREETING), ("agent", "Are you still there?")]
    assert line.timeouts == [10.0, 10.0]
    assert held.conclusion.reason is EndReason.SILENCE_TIMEOUT


async def test_whoever_comes_back_is_asked_again_next_time():
    line, brain = Line([None, "Sorry, yes.", None, None]), Replies([["Good."]])

    held = await Talk(line, brain).hold()

    assert [text for role, text in held.said() if text == "Are you still there?"] == ["Are you still there?"] * 2
    assert held.conclusion.reason is EndReason.SILENCE_TIMEOUT


@pytest.mark.parametrize("language", PHRASES)
async def test_the_loop_speaks_the_agents_language(language):
    held = await Talk(Line([None, None]), Replies()).hold(language=f"{language}-XX")

    assert held.said()[1] == ("agent", PHRASES[language].still_there)


@pytest.mark.parametrize(
    ("max_duration_s", "last"),
    [
        (61.0, "I am afraid our time is up. Thank you, goodbye."),
        (59.0, "Five words are said here."),  # two seconds are not enough to take leave
    ],
)
async def test_time_is_up_before_the_maximum_duration(max_duration_s, last):
    line, brain = Line(["Yes."] * 100), Replies([["Five words are said here."]] * 100)

    held = await Talk(line, brain, max_duration_s=max_duration_s).hold()

    assert held.said()[-1] == ("agent", last)
    assert held.conclusion.reason is EndReason.MAX_DURATION
    assert held.turns[-1].start < max_duration_s


async def test_silence_up_to_the_maximum_duration_is_the_maximum_duration():
    line = Line([None] * 10)

    held = await Talk(line, Replies(), max_duration_s=12.0).hold()

    assert held.conclusion.reason is EndReason.MAX_DURATION
    assert line.timeouts == [4.0]  # 3 of greeting, 5 to take leave


async def test_the_agents_own_words_stop_at_the_maximum_duration():
    line = Line(["Yes."], now_s=598.0)

    held = await Talk(
        line, Replies([["never said"]]), history=[Turn(Role.CALLEE, "Yes.", 596.0, 598.0)], max_duration_s=597.0
    ).hold()

    assert held.said() == []
    assert held.conclusion.reason is EndReason.MAX_DURATION


# --- machines


async def test_a_voicemail_gets_its_message_after_the_greeting():
    line = Line(["Leave a message after the tone."])

    held = await Talk(line, Replies(), answered_by=AnsweredBy.VOICEMAIL).hold(voicemail_message="Call us.")

    assert held.said() == [("callee", "Leave a message after the tone."), ("agent", "Call us.")]
    assert held.conclusion == Conclusion(EndReason.VOICEMAIL, AnsweredBy.VOICEMAIL, message_left=True)


@pytest.mark.parametrize("message", [None, ""])
async def test_a_voicemail_without_a_message_is_hung_up_at_once(message):
    line = Line(["Leave a message after the tone."])

    held = await Talk(line, Replies(), answered_by=AnsweredBy.VOICEMAIL).hold(voicemail_message=message)

    assert (held.turns, line.timeouts) == ([], [])
    assert held.conclusion == Conclusion(EndReason.VOICEMAIL, AnsweredBy.VOICEMAIL)


async def test_a_voicemail_that_hangs_up_early_has_no_message():
    heard = Utterance("Call", 1.0, 2.0, interrupted=True)
    line = Line(["After the tone."], over_while_speaking={0: LegOver(HUNG_UP, heard)})

    held = await Talk(line, Replies(), answered_by=AnsweredBy.VOICEMAIL).hold(voicemail_message="Call us.")

    assert held.said()[-1] == ("agent", "Call")
    assert (held.conclusion.reason, held.conclusion.message_left) == (EndReason.VOICEMAIL, False)


async def test_a_voicemail_that_passed_for_a_human_is_recognised_by_its_words():
    line = Line(["You have reached the voicemail of Alex. Leave a message."])

    held = await Talk(line, Replies()).hold(voicemail_message="Call us.")

    assert held.said()[-1] == ("agent", "Call us.")
    assert held.conclusion == Conclusion(EndReason.VOICEMAIL, AnsweredBy.VOICEMAIL, message_left=True)


async def test_call_screening_is_let_ask_first_and_hanging_up_on_us_is_its_own_reason():
    line = Line(["Please say your name.", LegOver(HUNG_UP, Utterance("Not available.", 6.0, 7.0, interrupted=True))])

    held = await Talk(line, Replies([["This is Sarah."]]), answered_by=AnsweredBy.CALL_SCREENING).hold()

    assert held.said() == [
        ("callee", "Please say your name."),
        ("agent", "This is Sarah."),
        ("callee", "Not available."),
    ]
    assert held.conclusion.reason is EndReason.CALL_SCREENED


async def test_a_fax_is_hung_up():
    held = await Talk(Line(), Replies(), answered_by=AnsweredBy.FAX).hold()

    assert (held.turns, held.conclusion.reason) == ([], EndReason.AGENT_HANGUP)


# --- tools


async def test_a_tool_is_used_after_the_words_and_its_result_told_to_the_brain():
    booking = ToolCall("book_appointment", '{"start": "2025-01-16T10:00:00+00:00", "title": "Demo"}')
    line, brain = Line(["Yes."]), Replies([["One moment.", booking], ["Booked. Goodbye.", END]])

    held = await Talk(line, brain).hold()

    used = "book_appointment(start=2025-01-16T10:00:00+00:00, end=2025-01-16T10:30:00+00:00, title=Demo): Booked."
    assert held.said()[2:] == [("agent", "One moment."), ("tool", used), ("agent", "Booked. Goodbye.")]
    assert held.turns[3] == Turn(Role.TOOL, used, 6.0, 6.0, booking)
    assert brain.asked[1][-1] == used


async def test_an_error_of_the_domain_is_told_to_the_brain_and_the_call_goes_on():
    booking = ToolCall("book_appointment", '{"start": "2025-01-16T10:00:00+00:00", "title": "Demo"}')
    line, brain = Line(["Yes."]), Replies([[booking], ["I cannot book that. Goodbye.", END]])

    held = await Talk(line, brain, Actions(fails=Invalid("That slot is taken"))).hold()

    assert held.said()[2:] == [
        ("tool", "book_appointment failed: That slot is taken"),
        ("agent", "I cannot book that. Goodbye."),
    ]
    assert held.conclusion.reason is EndReason.AGENT_HANGUP


async def test_a_transfer_ends_the_conversation():
    line, brain = Line(["A human, please."]), Replies([["I connect you.", ToolCall("transfer")]])

    held = await Talk(line, brain, tools=({"name": "transfer", "to": "+12125550198"},)).hold()

    assert held.actions.done == [("transfer", "+12125550198")]
    assert held.conclusion.reason is EndReason.TRANSFERRED


async def test_a_brain_that_only_uses_tools_does_not_hold_up_the_call():
    line, brain = Line(["Yes."]), Replies([[ToolCall("nonsense")]] * 50)

    held = await Talk(line, brain).hold()

    assert len(brain.asked) == 5
    assert held.conclusion.reason is EndReason.SILENCE_TIMEOUT


# --- opting out


async def test_whoever_asks_not_to_be_called_again_is_heard_whatever_the_brain_does():
    line, brain = Line(["Do not call me again!"]), Replies([["But our offer is so good!"], ["never said"]])

    held = await Talk(line, brain).hold()

    assert held.actions.done == [("do_not_call", "Do not call me again!")]
    assert held.said()[2:] == [
        ("tool", "do_not_call(reason=Do not call me again!): This number will not be called again."),
        ("agent", "But our offer is so good!"),
    ]
    assert held.conclusion.reason is EndReason.OPTED_OUT


async def test_the_brain_may_hear_a_wish_that_the_patterns_do_not():
    line = Line(["Kérem, ne hívjanak többet."])
    brain = Replies([[ToolCall("do_not_call", '{"reason": "asked"}')], ["Sorry. Goodbye."]])

    held = await Talk(line, brain).hold()

    assert held.actions.done == [("do_not_call", "asked")]
    assert held.conclusion.reason is EndReason.OPTED_OUT


async def test_the_wish_holds_when_the_callee_hangs_up_at_once():
    line = Line(["Stop calling me."], over_while_speaking={1: LegOver(HUNG_UP)})

    held = await Talk(line, Replies([["Sorry."]])).hold()

    assert held.actions.done == [("do_not_call", "Stop calling me.")]
    assert held.conclusion.ending is not None
    assert (held.conclusion.reason, held.conclusion.ending.reason) == (EndReason.OPTED_OUT, EndReason.OPTED_OUT)
    assert held.conclusion.ending.duration_s == 9.0


# --- ends that come from elsewhere


async def test_what_was_heard_before_the_callee_hung_up_is_kept():
    heard = Utterance("It is", 4.0, 4.5, interrupted=True)
    line = Line(["Who is this?"], over_while_speaking={1: LegOver(HUNG_UP, heard)})

    held = await Talk(line, Replies([["It is Acme."]])).hold()

    assert held.turns[-1] == Turn(Role.AGENT, "It is", 4.0, 4.5)
    assert held.conclusion == Conclusion(EndReason.CALLEE_HANGUP, AnsweredBy.HUMAN, ending=HUNG_UP)


async def test_what_was_agreed_upon_is_booked_even_if_the_line_is_gone():
    booking = ToolCall("book_appointment", '{"start": "2025-01-16T10:00:00+00:00", "title": "Demo"}')
    line = Line(["Yes."], over_while_speaking={1: LegOver(HUNG_UP)})

    held = await Talk(line, Replies([[booking, "I book it.", END]])).hold()

    assert [what[0] for what in held.actions.done] == ["book_appointment"]


async def test_a_leg_that_is_over_for_no_known_reason_is_the_callers_to_find_out():
    talk = Talk(Line([LegOver()]), Replies())

    with pytest.raises(LegOver):
        await talk.hold()

    assert [turn.text for turn in talk.turns] == [GREETING]


# --- a brain that fails


async def test_a_brain_that_fails_before_its_first_word_is_asked_again():
    line, brain = Line(["Yes."]), Replies([[BrainError("no answer")], ["Goodbye.", END]])

    held = await Talk(line, brain).hold()

    assert held.said()[2:] == [("agent", "Goodbye.")]
    assert held.conclusion.reason is EndReason.AGENT_HANGUP


async def test_a_brain_that_keeps_failing_ends_the_call_politely():
    line, brain = Line(["Yes."]), Replies([[BrainError("no answer")], [BrainError("still no answer")]])

    held = await Talk(line, brain).hold()

    assert held.said()[-1] == ("agent", "I am sorry, I have a technical problem and must end the call. Goodbye.")
    assert held.conclusion == Conclusion(EndReason.AGENT_ERROR, AnsweredBy.HUMAN, failure="still no answer")


async def test_a_brain_that_fails_in_the_middle_keeps_what_it_said():
    line, brain = Line(["Yes."]), Replies([["I was going to ", BrainError("cut off")]])

    held = await Talk(line, brain).hold()

    assert held.said()[2] == ("agent", "I was going to ")
    assert held.conclusion.failure == "cut off"


# --- after a crash


async def test_an_agent_that_was_heard_last_listens_and_does_not_greet_again():
    line, brain = Line(["Yes?"]), Replies([["Goodbye.", END]])

    held = await Talk(line, brain, history=[Turn(Role.AGENT, GREETING, 0.0, 3.0)]).hold()

    assert held.said() == [("callee", "Yes?"), ("agent", "Goodbye.")]
    assert brain.asked == [(GREETING, "Yes?")]


async def test_a_callee_who_was_heard_last_is_answered():
    history = [Turn(Role.AGENT, GREETING, 0.0, 3.0), Turn(Role.CALLEE, "Who is this?", 3.0, 4.0)]

    held = await Talk(Line(), Replies([["Acme. Goodbye.", END]]), history=history).hold()

    assert held.said() == [("agent", "Acme. Goodbye.")]


async def test_a_wish_that_was_heard_but_not_yet_granted_is_granted():
    history = [Turn(Role.CALLEE, "Please don't call me again.", 3.0, 4.0)]

    held = await Talk(Line(), Replies([["Sorry. Goodbye."]]), history=history).hold()

    assert held.actions.done == [("do_not_call", "Please don't call me again.")]
    assert held.conclusion.reason is EndReason.OPTED_OUT


async def test_a_wish_that_was_granted_before_the_crash_is_not_granted_twice():
    history = [
        Turn(Role.CALLEE, "Please don't call me again.", 3.0, 4.0),
        Turn(Role.TOOL, "do_not_call(reason=asked): Done.", 4.0, 4.0),
    ]

    held = await Talk(Line(), Replies([["Sorry. Goodbye."]]), history=history).hold()

    assert held.actions.done == []
    assert held.conclusion.reason is EndReason.OPTED_OUT
