"""A running server, and somebody who is signed in to its dashboard with a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.pages import is_built
from tests.flows.receiver import Receiver, receiver
from tests.flows.servers import Installation
from tests.pages.chromium import Page, chromium

OWNER = "owner@example.com"
PASSWORD = "four words nobody guessed"
SETTINGS = {
    "VOXFORGE_SANDBOX_SPEED": "50",
    "VOXFORGE_WEBHOOK_ALLOW_HTTP": "true",
    "VOXFORGE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """`voxforge up`, as it is on the first day."""
    assert is_built(), "The dashboard is not built, and what is tested here is it: ./scripts/test builds it."
    installation = Installation(tmp_path_factory.mktemp("pages"), SETTINGS, scaled=False)
    try:
        installation.start()
        yield installation
    finally:
        codes = installation.stop()
    assert codes == [0]


@pytest.fixture(scope="session")
def browser() -> Iterator[Page]:
    """The one browser of these tests."""
    with chromium() as page:
        yield page


@pytest.fixture(scope="session")
def one_time_password(server: Installation) -> str:
    """What the first start prints."""
    printed = next(Path(server.data).glob("up-*.log")).read_text()
    found = re.search(r"^Password +(\S+)", printed, re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.fixture(scope="session")
def newcomer(server: Installation, browser: Page, one_time_password: str) -> Page:
    """The dashboard, of an owner who has just signed in for the first time."""
    browser.open(f"{server.urls[0]}/")
    browser.fill("E-mail address", OWNER)
    browser.fill("Password", one_time_password)
    browser.click("Sign in")
    browser.see("Choose a password")
    browser.fill("One-time password", one_time_password)
    browser.fill("New password", PASSWORD)
    browser.click("Go on with this password")
    browser.see("Overview")
    return browser


@pytest.fixture
def page(server: Installation, newcomer: Page) -> Page:
    """The dashboard, of an owner who is signed in, whatever a test before has done."""
    if newcomer.evaluate("fetch('/session').then(({status}) => status)") == 401:
        newcomer.complaints.clear()
        newcomer.open(f"{server.urls[0]}/")
        newcomer.fill("E-mail address", OWNER)
        newcomer.fill("Password", PASSWORD)
        newcomer.click("Sign in")
        newcomer.see("Overview")
    return newcomer


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    """A customer's own server."""
    with receiver() as state:
        yield state


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One server and one browser for all of them."""
    for item in items:
        if item.nodeid.startswith("tests/pages/"):
            item.add_marker(pytest.mark.xdist_group("pages"))
