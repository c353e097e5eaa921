"""What a scripted agent knows of itself, picked from its own prompt: who is speaking, for whom, about what."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workers.conversation.brain import AgentBrief

_NAME = r"[A-Z][\w&'’.-]*[\w]"
_NAMES = rf"({_NAME}(?: (?:{_NAME}|&|of(?= [A-Z])|and(?= [A-Z])))*)"
_SPEAKER = re.compile(rf"\b(?:[Tt]his is|[Mm]y name is|[Ii]t's|I'm|I am|[Yy]ou are|[Yy]our name is) ({_NAME})")
_COMPANY = re.compile(rf"\b(?:from|for|at|of|behalf of|[Tt]his is) (?:the )?{_NAMES}")
_NOT_COMPANIES = re.compile(
    r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|January|February|March|April|May|June|July|August|September|October|"
    r"November|December|English|German|French|Spanish|The|A|An|I|AI"
)
_TOPIC = re.compile(
    r"\b(?:about|regarding|concerning|(?:sells?|selling|offers?|offering|promotes?|promoting|discuss|introduces?|introducing)"
    r"|(?:book|schedule|arrange|booking|scheduling|arranging)(?= an? ))"
    r" (?:(?:our|your|their|the) )?([^.,;:!?\n]{3,80})"
)
_TOPIC_ENDS = re.compile(r" (?:to|with|for|from|who|that|which|when|at|and|over|by|on|in) ")


@dataclass(frozen=True, slots=True)
class Pitch:
    """`topic` fits after "about": lower case, no full stop. `company` is None when the prompt names none."""

    speaker: str
    company: str | None
    topic: str

    @property
    def introduction(self) -> str:
        """Who is speaking, as the beginning of a sentence."""
        return f"This is {self.speaker}" + (f" from {self.company}" if self.company else "")


def pitch(brief: AgentBrief) -> Pitch:
    """Read a brief; whatever it does not say is filled in so that the sentences stay true."""
    first, prompt = brief.first_message or "", brief.system_prompt
    company = _company(first) or _company(prompt)
    speaker = _speaker(first, company) or _speaker(prompt, company) or _speaker_of_name(brief.name)
    return Pitch(speaker, company, _topic(prompt) or _topic(first) or "our services")


def _company(text: str) -> str | None:
    for match in _COMPANY.finditer(text):
        name = match[1].rstrip(".'’-")
        introduced_by_name = match[0].lower().startswith("this is")
        if not _NOT_COMPANIES.fullmatch(name) and not (
            introduced_by_name and not re.search(r" support| service", text)
        ):
            return name
    return None


def _speaker(text: str, company: str | None) -> str | None:
    for match in _SPEAKER.finditer(text):
        name = match[1].rstrip(".'’-")
        if not _NOT_COMPANIES.fullmatch(name) and name != (company or "").partition(" ")[0]:
            return name
    return None


def _speaker_of_name(name: str) -> str:
    """`Sales Rep - Sarah` speaks as Sarah; `Support Agent` as the Support Agent."""
    last = re.split(r"\s+[-–|:]\s+", name.strip())[-1].strip()
    return last if re.fullmatch(_NAME, last) else f"the {name.strip()}"


def _topic(text: str) -> str | None:
    match = _TOPIC.search(text)
    if match is None:
        return None
    topic = _TOPIC_ENDS.split(f"{match[1]} ", maxsplit=1)[0].strip()
    words = topic.split()
    return " ".join(words[:8]) if words else None
