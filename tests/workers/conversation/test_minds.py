from __future__ import annotations

import pytest

from schema.settings import Settings
from workers.conversation.minds import open_mind
from workers.conversation.openai import OpenAIBrain
from workers.conversation.scripted import ScriptedBrain


@pytest.mark.parametrize(
    "given", [{}, {"llm_url": "http://127.0.0.1:9/v1"}, {"llm_model": "m"}, {"llm_api_key": "sk-1"}]
)
async def test_without_a_model_agents_follow_the_script(given):
    mind = open_mind(Settings(_env_file=None, **given))

    assert isinstance(mind.brain, ScriptedBrain)
    assert mind.analyst is None
    await mind.aclose()


async def test_a_model_speaks_and_analyses():
    mind = open_mind(Settings(_env_file=None, llm_url="http://127.0.0.1:9/v1", llm_model="m", llm_api_key="sk-1"))

    assert isinstance(mind.brain, OpenAIBrain)
    assert mind.analyst is mind.brain
    await mind.aclose()
