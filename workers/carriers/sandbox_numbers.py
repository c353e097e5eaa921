"""The sandbox's magic numbers (`telephony.md`, *Sandbox carrier*): what the last two digits of a number make happen."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from schema.rules.calls import EndReason
from workers.carriers import sandbox_personas as personas
from workers.carriers.sandbox_personas import Persona

FICTION = re.compile(r"\+1[2-9]\d{2}55501(\d\d)")
"""The numbers reserved for fiction: +1 NPA 555 01xx."""

CODES: dict[EndReason, tuple[int | None, int | None]] = {
    EndReason.CALLEE_HANGUP: (200, 16),
    EndReason.AGENT_HANGUP: (200, 16),
    EndReason.TRANSFERRED: (200, 16),
    EndReason.MAX_DURATION: (200, 16),
    EndReason.CANCELLED: (487, None),
    EndReason.BUSY: (486, 17),
    EndReason.NO_ANSWER: (480, 19),
    EndReason.REJECTED: (603, 21),
    EndReason.UNALLOCATED_NUMBER: (404, 1),
}
"""SIP status and Q.850 cause of each way in which a leg ends here (`telephony.md`, the table of causes)."""


class Submission(StrEnum):
    """What becomes of `place()`."""

    ACCEPTED = "accepted"
    CONGESTED = "congested"  # refused once for each call, accepted from then on
    LOST_ANSWER = "lost-answer"  # placed, but the answer never reaches the caller
    LOST_ORDER = "lost-order"  # not placed, and the caller cannot know


class Callbacks(StrEnum):
    """How the events of a leg arrive."""

    ORDERLY = "orderly"
    DISORDERLY = "disorderly"  # late, twice and out of order
    NO_FINAL = "no-final"  # the one that says the leg has ended never comes


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table: either a persona answers, or `refusal` says why nobody does."""

    persona: Persona | None = None
    submission: Submission = Submission.ACCEPTED
    callbacks: Callbacks = Callbacks.ORDERLY
    refusal: EndReason = EndReason.NO_ANSWER
    rings: bool = True
    refused_after_s: float | None = None
    """Seconds from placing; None: when the order's ring timeout is over."""


SCENARIOS: dict[str, Scenario] = {
    "00": Scenario(personas.INTERESTED),
    "01": Scenario(personas.NOT_INTERESTED),
    "02": Scenario(personas.OPTS_OUT),
    "03": Scenario(personas.CALL_BACK),
    "04": Scenario(personas.VOICEMAIL),
    "05": Scenario(personas.CALL_SCREENING),
    "06": Scenario(personas.SILENT),
    "07": Scenario(personas.TALKS_OVER),
    "08": Scenario(personas.ANGRY),
    "09": Scenario(personas.LONG_TALKER),
    "40": Scenario(refusal=EndReason.BUSY, rings=False, refused_after_s=1.5),
    "41": Scenario(refusal=EndReason.NO_ANSWER),
    "42": Scenario(refusal=EndReason.REJECTED, refused_after_s=6.0),
    "43": Scenario(refusal=EndReason.UNALLOCATED_NUMBER, rings=False, refused_after_s=1.0),
    "44": Scenario(personas.INTERESTED, submission=Submission.CONGESTED),
    "45": Scenario(personas.INTERESTED, submission=Submission.LOST_ANSWER),
    "46": Scenario(submission=Submission.LOST_ORDER),
    "47": Scenario(personas.HANGS_UP),
    "48": Scenario(personas.INTERESTED, callbacks=Callbacks.DISORDERLY),
    "49": Scenario(personas.GONE, callbacks=Callbacks.NO_FINAL),
}


def scenario_of(number: str) -> str:
    """The scenario's two digits: the magic number's own, or for every other number one of 00–09 by a stable hash.

    The hash is salted so that `rest-api.md`'s own example, +15551234567, is interested, as it is there.
    """
    magic = FICTION.fullmatch(number)
    if magic and magic[1] in SCENARIOS:
        return magic[1]
    digest = hashlib.sha256(f"voxforge{number}".encode()).digest()
    return f"{digest[0] % 10:02}"
