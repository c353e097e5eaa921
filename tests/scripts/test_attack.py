"""The corpus of `scripts/attack`, in small: refused when saved, blocked when delivered, and nothing ever connects."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from schema.errors import Invalid
from schema.rules.addresses import check_url
from schema.rules.webhooks import ErrorClass
from workers import outbound
from workers.outbound import Answer, Outbound

ATTACK = Path(__file__).parent.parent.parent / "scripts" / "attack"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def load(name: str) -> ModuleType:
    """A module of the suite, whose directory is not on the path."""
    spec = importlib.util.spec_from_file_location(name, ATTACK / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its data classes look for their annotations
    spec.loader.exec_module(module)
    return module


canaries, ssrf_corpus = load("canary"), load("ssrf_corpus")
CORPUS = ssrf_corpus.corpus()


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A listener on every form of the loopback, which every proxy variable names."""
    with canaries.listening() as canary:
        for name in PROXIES:
            monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
        yield canary


async def deliveries(canary: Any) -> dict[str, Answer]:
    """One attempt at each URL, by the client of the workers as it is in production."""
    async with Outbound(timeout_s=5, lookup=canaries.lookup(ssrf_corpus.ADDRESSES)) as client:
        return {each.url: await client.post(each.url.replace("{port}", str(canary.port)), b"{}", {}) for each in CORPUS}


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len(CORPUS) >= 200
    assert sum(each.only_resolution_tells for each in CORPUS) < len(CORPUS) // 10


def test_every_url_is_refused_when_saved_unless_only_resolution_can_tell() -> None:
    accepted = []
    for each in CORPUS:
        with suppress(Invalid):
            check_url(each.url.replace("{port}", "8443"))
            accepted.append(each.url)

    assert accepted == [each.url for each in CORPUS if each.only_resolution_tells]


async def test_every_url_is_blocked_when_delivered_and_nothing_connects(canary: Any) -> None:
    answers = await deliveries(canary)

    assert {answer.error_class for answer in answers.values()} == {ErrorClass.BLOCKED}
    assert canary.connections == []


async def test_the_socket_alone_keeps_them_out(canary: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the check of URLs had missed them all."""
    monkeypatch.setattr(outbound, "check_url", lambda url, **_: url)

    answers = await deliveries(canary)

    assert [url for url, answer in answers.items() if answer.status is not None] == []
    assert canary.connections == []
