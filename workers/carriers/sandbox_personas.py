"""Who picks up in the sandbox: each persona is a small table of what it says in reply to what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from schema.rules.calls import AnsweredBy

CHARACTERS_PER_SECOND = 15.0
"""How fast everybody speaks."""

# What the agent may say that a persona reacts to. Anything else is answered by the persona's next line.
A_TIME = (
    r"\b((mon|tues|wednes|thurs|fri|satur|sun)day|tomorrow|next week|\d{1,2}:\d\d|\d{1,2} ?([ap]\.?m\b|o'clock)|"
    r"suggest|schedule|what time|which day)"
)
DONE = r"\b(booked|confirmed|scheduled|all set|anything else|see you|look(ing)? forward|talk to you (then|soon))\b"
FAREWELL = (
    r"\b(good ?bye|bye|take care|have a (very )?(nice|good|great|lovely|wonderful) (day|afternoon|evening|one))\b"
)
INTRODUCTION = r"\b(this is|my name is|i'm|i am|calling (from|about|on behalf|to|because)|on behalf of)\b"


@dataclass(frozen=True, slots=True)
class Line:
    """Something the persona says, once, in reply to the agent."""

    says: str
    to: str = ""
    """A pattern that the agent's words must contain; empty: whatever the agent said."""
    after: int = 0
    """Not before the persona has said so many lines."""
    turn: int | None = None
    """Only as this line of the persona's, counted from 0."""
    cuts_in_s: float | None = None
    """Said over the agent, so many seconds into what it says; with nothing to say, the persona hangs up then."""
    hangs_up: bool = False
    pause_s: float = 0.8
    """Seconds between the agent's last word and the first of this line."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What the persona does when it is the agent's turn and nothing is heard for `after_s` seconds."""

    after_s: float
    says: str = ""
    hangs_up: bool = False


WAITING = (Patience(3, "Hello?"), Patience(12, "Hello? Is anybody there?"), Patience(20, "", hangs_up=True))


@dataclass(frozen=True, slots=True)
class Persona:
    """The first line that has not been said and fits the agent's words is the reply; none fits: silence."""

    title: str
    lines: tuple[Line, ...] = ()
    answered_by: AnsweredBy = AnsweredBy.HUMAN
    rings_s: float = 4.0
    speaks_first: bool = False
    """Says its first line as soon as it has answered, as machines do."""
    repeats: bool = False
    """Starts again when everything has been said."""
    patience: tuple[Patience, ...] = WAITING

    def reply(self, said: Sequence[int], heard: str) -> int | None:
        """The index of the next line, when those in `said` are spoken and the agent said `heard`."""
        if not self.lines:
            return None
        rounds = len(said) // len(self.lines) if self.repeats else 0
        spoken = set(said[rounds * len(self.lines) :])
        for index, line in enumerate(self.lines):
            if index in spoken or len(said) < line.after or line.turn not in (None, len(said)):
                continue
            if re.search(line.to, heard, re.IGNORECASE):
                return index
        return None

    def cut_in(self, said: Sequence[int]) -> Line | None:
        """The line that this persona says over the agent's next words, if it does not let them be finished."""
        index = self.reply(said, "")
        return None if index is None or self.lines[index].cuts_in_s is None else self.lines[index]


INTERESTED = Persona(
    "interested, books an appointment",
    (
        Line("Thank you very much. Goodbye.", to=FAREWELL, after=1, hangs_up=True),
        Line("No, that is all. Thank you.", to=DONE, after=2),
        Line("Yes, that works for me. Please book it.", to=A_TIME, after=1),
        Line("Hello. Yes, I have a minute. What is it about?"),
        Line("That sounds interesting. When could we talk about it?"),
        Line("I would like that. Please suggest a time."),
        Line("All right. I have to go now. Thank you, goodbye.", hangs_up=True),
    ),
)

NOT_INTERESTED = Persona(
    "not interested",
    (
        Line("Goodbye.", to=FAREWELL, after=1, hangs_up=True),
        Line("No thank you, I'm not interested."),
        Line("Really, we don't need it. Goodbye.", hangs_up=True),
    ),
)

OPTS_OUT = Persona(
    "do not call me again",
    (
        Line("Please do not call me again. Take me off your list."),
        Line("Thank you. Goodbye.", hangs_up=True),
    ),
)

CALL_BACK = Persona(
    "asks to be called back",
    (
        Line("Thanks. Goodbye.", to=FAREWELL, after=1, hangs_up=True),
        Line("I'm in a meeting right now. Could you call me back tomorrow afternoon?"),
        Line("Yes, tomorrow afternoon is fine."),
        Line("I really have to go now. Goodbye.", hangs_up=True),
    ),
    rings_s=7.0,
)

VOICEMAIL = Persona(
    "voicemail, takes a message",
    (
        Line(
            "Hello, you have reached the voicemail of Alex Morgan. I can't come to the phone right now. "
            "Please leave a message after the tone. (beep)",
            pause_s=0.5,
        ),
    ),
    answered_by=AnsweredBy.VOICEMAIL,
    rings_s=15.0,
    speaks_first=True,
    patience=(Patience(20, "", hangs_up=True),),
)

CALL_SCREENING = Persona(
    "call screening: puts through whoever says who is calling and why, hangs up on everybody else",
    (
        Line(
            "Hi, the person you are calling uses a screening service. Please say your name and why you are calling.",
            turn=0,
            pause_s=0.5,
        ),
        Line(
            "Thank you, please stay on the line. Hello, this is Robin speaking. What can I do for you?",
            to=INTRODUCTION,
            turn=1,
            pause_s=2.0,
        ),
        Line("Sorry, the person you are calling is not available. Goodbye.", turn=1, hangs_up=True),
        Line("I see. Please send me the details by email, then I will have a look. Goodbye.", turn=2, hangs_up=True),
    ),
    answered_by=AnsweredBy.CALL_SCREENING,
    rings_s=2.0,
    speaks_first=True,
    patience=(Patience(15, "The caller did not answer. Goodbye.", hangs_up=True),),
)

SILENT = Persona("silent line", patience=())

TALKS_OVER = Persona(
    "talks over the agent",
    (
        Line("Sorry, who is this?", cuts_in_s=1.5, pause_s=0.0),
        Line("Wait, wait. What exactly do you want from me?", cuts_in_s=2.0, pause_s=0.0),
        Line("Okay. I need to think about it. Send me an email, please."),
        Line("All right, bye.", hangs_up=True),
    ),
)

ANGRY = Persona(
    "angry",
    (
        Line("Why are you calling me? This is really annoying!"),
        Line("This is ridiculous. I am fed up with these terrible calls!", hangs_up=True),
    ),
    rings_s=9.0,
)

LONG_TALKER = Persona(
    "long talker, until the maximum duration",
    (
        Line(
            "Oh, hello! How nice that somebody calls. You know, I was just telling my neighbour the other day that "
            "the telephone hardly ever rings any more, and that it used to be quite different in the old days."
        ),
        Line(
            "That reminds me of my brother, who worked for a company like yours for thirty years, or was it forty, "
            "and he always said that the people were what mattered, and the canteen, of course, the canteen."
        ),
        Line(
            "And the weather we have been having, have you ever seen anything like it? First it rains for a week, then "
            "the sun comes out, and by the time the washing is on the line it starts to rain all over again."
        ),
        Line(
            "My cat is sitting right here next to me while we are talking. She is fourteen years old, and she listens "
            "to every word, and I sometimes think that she understands more of it than my nephew ever did."
        ),
        Line(
            "Where was I? It was about the holidays, I think, the year we drove all the way to the coast and the car "
            "broke down in the middle of nowhere, and a farmer came along with a horse, imagine that, a horse."
        ),
    ),
    repeats=True,
)

HANGS_UP = Persona(
    "hangs up in the middle",
    (
        Line("Hello? Yes, speaking."),
        Line("", cuts_in_s=2.0, hangs_up=True, pause_s=0.5),
    ),
)

GONE = Persona(
    "leaves, and the final callback never comes",
    (
        Line("Hello? Yes, I have a minute."),
        Line("One moment, please, there is somebody at the door.", hangs_up=True),
    ),
)
