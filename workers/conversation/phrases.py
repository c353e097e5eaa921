"""The few sentences that the call loop says itself, whatever the brain, by language."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """`still_there` after silence, `time_is_up` at the maximum duration, `trouble` when the brain fails."""

    still_there: str
    time_is_up: str
    trouble: str


ENGLISH = Phrases(
    "Are you still there?",
    "I am afraid our time is up. Thank you, goodbye.",
    "I am sorry, I have a technical problem and must end the call. Goodbye.",
)

PHRASES = {
    "en": ENGLISH,
    "de": Phrases(
        "Sind Sie noch da?",
        "Leider ist unsere Zeit um. Vielen Dank, auf Wiederhören.",
        "Es tut mir leid, ich habe ein technisches Problem und muss das Gespräch beenden. Auf Wiederhören.",
    ),
    "es": Phrases(
        "¿Sigue usted ahí?",
        "Lo siento, se nos acaba el tiempo. Gracias, adiós.",
        "Lo siento, tengo un problema técnico y debo terminar la llamada. Adiós.",
    ),
    "fr": Phrases(
        "Êtes-vous toujours là ?",
        "Je suis désolé, notre temps est écoulé. Merci, au revoir.",
        "Je suis désolé, j'ai un problème technique et je dois terminer l'appel. Au revoir.",
    ),
    "it": Phrases(
        "È ancora in linea?",
        "Mi dispiace, il nostro tempo è finito. Grazie, arrivederci.",
        "Mi dispiace, ho un problema tecnico e devo terminare la chiamata. Arrivederci.",
    ),
    "nl": Phrases(
        "Bent u er nog?",
        "Helaas is onze tijd om. Dank u wel, tot ziens.",
        "Het spijt me, ik heb een technisch probleem en moet het gesprek beëindigen. Tot ziens.",
    ),
    "pt": Phrases(
        "Ainda está aí?",
        "Lamento, o nosso tempo acabou. Obrigado, adeus.",
        "Lamento, tenho um problema técnico e preciso terminar a chamada. Adeus.",
    ),
}


def phrases(language: str) -> Phrases:
    """The phrases of a language tag such as `de-AT`; English where there are none."""
    return PHRASES.get(language.replace("_", "-").partition("-")[0].lower(), ENGLISH)
