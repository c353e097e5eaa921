"""What somebody on the telephone wants, read from their words by tables of patterns: fast, and always the same.

A request not to be called again is honoured by the platform itself (decision L5), so its patterns are the strictest
part: they know the few ways in which people say it in the languages below, and do not mistake "don't call me at work,
call me at home" for it. Everything else is English, and serves the scripted brain and the analysis without a model.
"""

from __future__ import annotations

import re
from enum import StrEnum

LONGEST = 4_000
"""Characters of a turn that are looked at: some minutes of speech, and a bound on the time that looking takes."""

_CALL = r"(?:call|phone|ring|contact|telephone|dial)"
_US = r"(?:me|us|here|this number|my number|my phone|this house|my house)"
_ME = r"(?:me|us|my (?:name|number|data)|our (?:name|number)|this number)"
_YOUR = r"(?:(?:your|the|this|that|all|any) )*(?:\w+ ){0,2}"
_LIST = r"(?:lists?|database|system|records|files)"
_WELL = r"(?:oh |well |um |hello,? )*"


class Intent(StrEnum):
    """What the words of a turn are for; a turn may have several."""

    DO_NOT_CALL = "do-not-call"
    NOT_INTERESTED = "not-interested"
    INTERESTED = "interested"
    CALLBACK = "callback"
    ANGRY = "angry"
    SCREENING = "screening"
    VOICEMAIL = "voicemail"
    WRONG_NUMBER = "wrong-number"
    SEND_INFORMATION = "send-information"
    WHO = "who"
    QUESTION = "question"
    YES = "yes"
    NO = "no"
    DONE = "done"
    GOODBYE = "goodbye"


PATTERNS: dict[Intent, tuple[str, ...]] = {
    Intent.DO_NOT_CALL: (
        rf"\b(?:do not|don't|never) (?:ever )?{_CALL} (?:{_US} )?(?:back )?(?:again|any ?more|ever)\b",
        rf"\bnever (?:ever )?{_CALL} {_US}\b",
        rf"(?<!\bif you )(?<!\bunless you )(?:do not|don't) (?:ever )?{_CALL} {_US}(?: back| please)?\s*(?:[.,;!?]|$)",
        rf"\b(?:stop|quit|no more) (?:{_CALL}(?:ing)?|bothering) (?:{_US}|people)\b",
        r"\b(?:stop|quit) (?:call|phon|contact)ing\b",
        rf"\b(?:take|remove|delete|erase|strike) {_ME} (?:off|from|out of) {_YOUR}{_LIST}",
        r"\b(?:remove|delete|erase) (?:my|our|this) (?:phone )?number\b",
        r"\b(?:do[- ]not[- ]call|don't[- ]call) (?:list|registry|register)\b",
        r"\blose (?:my|this|our) number\b",
        r"\bunsubscribe (?:me|us)\b",
        r"\bopt (?:me |us )?out\b",
        # Spanish, German, French, Portuguese, Italian, Dutch
        r"\bno (?:me|nos) (?:vuelvan?|vuelvas) a llamar\b",
        r"\bno (?:me|nos) llam(?:en?|es) (?:más|nunca|otra vez)\b",
        r"\bruf(?:en sie|t|e?) (?:mich|uns|hier) (?:\w+ )?(?:nicht|nie) (?:mehr|wieder) an\b",
        r"\b(?:nicht|nie) (?:mehr|wieder) (?:bei (?:mir|uns) |hier )?(?:anrufen|angerufen)\b",
        r"\bne (?:m'|me |nous )(?:r?appelez|r?appelle|contactez) plus\b",
        r"\bnão (?:me|nos) ligu?em? (?:mais|de novo)\b",
        r"\bnon (?:mi|ci) (?:chiamate?|richiamate?) più\b",
        r"\bbel (?:me|ons) (?:niet|nooit) meer\b",
    ),
    Intent.NOT_INTERESTED: (
        r"\b(?:not|isn't|aren't|ain't|'m not|don't) (?:\w+ ){0,2}interested\b",
        r"\bno interest\b",
        r"\bno,? thanks\b",
        r"\bno,? thank you\b",
        r"\b(?:do not|don't) (?:\w+ )?(?:need|want) (?:it|this|that|any|anything|one|your)\b",
        r"\bnot for (?:me|us)\b",
        r"\b(?:i|we) already have\b",
    ),
    Intent.INTERESTED: (
        r"\b(?:sounds?|that's|it's|looks?) (?:\w+ )?(?:good|great|interesting|nice|perfect|wonderful|lovely)\b",
        r"\btell me more\b",
        r"\b(?:sign me up|count me in|i am in|i'm in)[.!]",
        r"\bwhen could we\b",
        r"\bplease suggest\b",
        r"\b(?:i|we)(?:'d| would) (?:\w+ )?(?:like|love)\b",
        r"\b(?:very|really|quite|definitely|i'm|am) interested\b",
    ),
    Intent.CALLBACK: (
        r"\bcall (?:me|us) (?:back|later|again|tomorrow|another time|next|after|at \d|on \w+day)\b",
        r"\bcall (?:me|us) in (?:an?|the|\d+|a few)\b",
        r"\b(?:can|could|would|please) (?:you )?(?:call|ring|phone|try) (?:\w+ ){0,3}(?:back|later|again|tomorrow)\b",
        r"\b(?:bad|not a good|not the best|wrong) (?:time|moment)\b",
        r"\b(?:i'm|i am|we're) (?:\w+ )?(?:busy|in a meeting|driving|at work|on my way|having (?:dinner|lunch))\b",
        r"\btry (?:me )?(?:again )?(?:later|tomorrow|next week)\b",
    ),
    Intent.ANGRY: (
        r"\b(?:annoying|annoyed|ridiculous|fed up|sick of|harass(?:ing|ment)?|outrageous|furious|angry|pissed)\b",
        r"\bhow dare\b",
        r"\bwast(?:e|ing) (?:of )?(?:my )?time\b",
        r"\bscam(?:mers?)?\b",
        r"\bleave (?:me|us) alone\b",
        r"\b(?:damn|bloody|fuck\w*|shit|go to hell)\b",
        r"\bterrible calls?\b",
    ),
    Intent.SCREENING: (
        r"\b(?:say|state|tell me|give|record) your name\b",
        r"\bscreening (?:service|your call|this call)\b",
        r"\bwhy you(?:'re| are) calling\b",
        r"\breason for (?:your|the) call\b",
    ),
    Intent.VOICEMAIL: (
        r"\b(?:voice ?mail|mailbox|answering machine)\b",
        r"\bafter the (?:tone|beep|signal)\b",
        r"\bleave (?:me |us )?(?:a|your) (?:\w+ )?message\b",
        r"\bnot available to take your call\b",
    ),
    Intent.WRONG_NUMBER: (
        r"\bwrong (?:number|person)\b",
        r"\b(?:nobody|no one) (?:here )?(?:by|with|of) that name\b",
    ),
    Intent.SEND_INFORMATION: (
        r"\bsend (?:me|us) (?:\w+ ){0,3}(?:e-?mail|details|information|something|offer|brochure|link)\b",
        r"\b(?:by|via) e-?mail\b",
        r"\bin writing\b",
    ),
    Intent.WHO: (
        r"\bwho(?:'s| is| are) (?:this|you|that|calling|speaking|there)\b",
        r"\b(?:what|which) company\b",
        r"\bwhere are you calling from\b",
        r"\bwho am i (?:speaking|talking) (?:to|with)\b",
    ),
    Intent.QUESTION: (r"\?",),
    Intent.YES: (
        rf"^{_WELL}(?:yes|yeah|yep|yup|sure|ok|okay|alright|all right|of course|certainly|definitely|absolutely)\b",
        rf"^{_WELL}(?:perfect|great|exactly|correct|please do)\b",
        r"\bworks (?:well |fine )?for (?:me|us)\b",
        r"\bthat works\b",
        r"\bbook (?:it|me)\b",
        r"\bfine (?:with|by|for) (?:me|us)\b",
    ),
    Intent.NO: (
        rf"^{_WELL}(?:no|nope|nah|not really)\b",
        r"\b(?:doesn't|does not|won't|wouldn't) work\b",
        r"\b(?:can't|cannot) (?:make|do) (?:it|that)\b",
    ),
    Intent.DONE: (
        r"\bthat(?:'s| is| was| will be) (?:all|it|everything)\b",
        r"\bnothing else\b",
        r"\bno,? i'm (?:good|fine)\b",
    ),
    Intent.GOODBYE: (
        r"\b(?:good ?bye|bye|take care)\b",
        r"\b(?:have|got|need) to go\b",
        r"\bgotta go\b",
        r"\bhang(?:ing)? up\b",
        r"\b(?:talk|speak) to you (?:later|soon)\b",
        r"\bhave a (?:nice|good|great) (?:day|one|evening)\b",
    ),
}

_COMPILED = {intent: re.compile("|".join(patterns)) for intent, patterns in PATTERNS.items()}
_WHEN = re.compile(
    r"\b(tomorrow(?: (?:morning|noon|afternoon|evening))?|this (?:morning|afternoon|evening)|later today|next week|"
    r"(?:next|on) (?:mon|tues|wednes|thurs|fri|satur|sun)day(?: (?:morning|afternoon|evening))?|"
    r"in (?:an|a few|\d+) (?:minutes|hours?|days|weeks?)|after \d+(?::\d\d)?(?: ?[ap]\.?m\.?)?)"
)


def detect(text: str) -> frozenset[Intent]:
    """What the words are for. A request not to be called overrules the wishes that its words resemble."""
    said = normalise(text[:LONGEST])
    found = {intent for intent, pattern in _COMPILED.items() if pattern.search(said)}
    if Intent.DO_NOT_CALL in found:
        found -= {Intent.CALLBACK, Intent.INTERESTED, Intent.YES}
    if Intent.NOT_INTERESTED in found:
        found -= {Intent.INTERESTED}
    if Intent.SCREENING in found or Intent.VOICEMAIL in found:
        found -= {Intent.CALLBACK, Intent.WHO}
    return frozenset(found)


def opts_out(text: str) -> bool:
    """Whether these words ask not to be called again (decision L5)."""
    return Intent.DO_NOT_CALL in detect(text)


def callback_when(text: str) -> str | None:
    """When somebody wants to be called back, in their words."""
    match = _WHEN.search(normalise(text))
    return match[1] if match else None


def normalise(text: str) -> str:
    """Lower case, plain apostrophes, single spaces."""
    return " ".join(text.lower().replace("’", "'").split())
