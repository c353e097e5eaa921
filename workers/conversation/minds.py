"""Which brain the settings name: a language model where one is configured, the script otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from schema.settings import Settings
from workers.conversation.analysis import Analyst
from workers.conversation.brain import Brain
from workers.conversation.openai import OpenAIBrain
from workers.conversation.scripted import ScriptedBrain


@dataclass(frozen=True, slots=True)
class Mind:
    """The brain of every call of a process, and who analyses them afterwards (None: the rules)."""

    brain: Brain
    analyst: Analyst | None = None

    async def aclose(self) -> None:
        """Close what the brain keeps open."""
        if isinstance(self.brain, OpenAIBrain):
            await self.brain.aclose()


def open_mind(settings: Settings) -> Mind:
    """A language model needs its address and its name; `doctor` says so when one of them is missing."""
    if settings.llm_url is None or settings.llm_model is None:
        return Mind(ScriptedBrain())
    brain = OpenAIBrain(settings.llm_url, settings.llm_model, settings.llm_api_key)
    return Mind(brain, brain)
