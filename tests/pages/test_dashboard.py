"""The dashboard as a person uses it: a real browser, the real server, the sandbox carrier, customers' own programs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.pages import CONTENT_SECURITY_POLICY, PAGES
from tests.flows.receiver import Receiver
from tests.flows.servers import Installation
from tests.pages import chromium as driver
from tests.pages.chromium import MISSING, Page, chromium
from tests.pages.conftest import OWNER, PASSWORD

AXE = Path(__file__).parent.parent.parent / "app/ui/node_modules/axe-core/axe.min.js"
FIRST_LOAD = 250_000
"""Bytes on the wire, headers and all, until the page is there."""

PLACES = [
    "/",
    "/agents",
    "/agents/new",
    "/appointments",
    "/calls",
    "/campaigns",
    "/campaigns/new",
    "/contacts",
    "/do-not-call",
    "/integrations/webhooks",
    "/integrations/webhooks/logs",
    "/phone-numbers",
    "/settings/account",
    "/settings/api-keys",
    "/settings/people",
]
NUMBER = "[...document.querySelectorAll('option')].find((each) => each.text[0] === '+')?.text"
SERIOUS = """axe.run({resultTypes: ['violations']}).then(({violations}) => violations
    .filter(({impact}) => impact === 'serious' || impact === 'critical')
    .map(({id, nodes}) => `${id}: ${nodes[0].html}`))"""
PAGE_FITS = """document.documentElement.scrollWidth <= innerWidth
    && [...document.querySelectorAll('main section')].every(
        ({scrollWidth, clientWidth}) => scrollWidth <= clientWidth)"""
DIALOG_FITS = """[...document.querySelectorAll('[role=dialog] > *')].every(
    ({scrollWidth, clientWidth}) => scrollWidth <= clientWidth)"""
KEY_SHOWN = "document.querySelector('[role=dialog] code')?.textContent.match(/^vf_live_\\w+$/)?.[0]"


@pytest.fixture(autouse=True)
def nothing_foreign(server: Installation, browser: Page) -> Any:
    """Whatever a test does, the browser asks nobody but the server, and its console has nothing to say."""
    yield
    own = tuple(url.replace("http", scheme, 1) for url in server.urls for scheme in ("http", "ws"))
    assert [url for url in browser.requests if not url.startswith(own)] == []
    # Chromium says so of every answer that is an error, also of the one that tells that nobody is signed in
    said = [each for each in browser.complaints if not re.search(r"status of 401 .*/session$", each)]
    browser.complaints.clear()
    assert said == []


def test_somebody_signs_in_with_the_one_time_password(
    server: Installation, browser: Page, one_time_password: str, request: pytest.FixtureRequest
) -> None:
    browser.open(f"{server.urls[0]}/settings/api-keys")
    browser.fill("E-mail address", OWNER)
    browser.fill("Password", "wrong" + one_time_password)
    browser.click("Sign in")
    browser.see("Wrong e-mail address or password")
    browser.complaints.clear()

    page: Page = request.getfixturevalue("newcomer")

    assert page.evaluate("document.querySelector('nav [aria-current]').innerText") == "Overview"
    assert page.received < FIRST_LOAD
    assert page.evaluate("document.cookie") == ""  # no script sees the session


def test_a_key_is_made_shown_once_and_good_for_its_scopes(server: Installation, page: Page) -> None:
    page.open(f"{server.urls[0]}/settings/api-keys")
    page.click("Make a key")
    page.fill("Name", "Reporting")
    assert page.evaluate(DIALOG_FITS) is True
    page.click("read everything but keys")
    page.choose("Calls", "none")
    page.click("Make the key")
    key = page.wait(KEY_SHOWN)
    assert page.evaluate(DIALOG_FITS) is True
    page.click("I have copied it")
    page.see("Reads agents, campaigns, appointments, contacts, phone numbers and webhooks")

    with server.client(key=key) as program:
        agents, made, calls = program.get("/agents"), program.post("/agents", json={}), program.get("/calls")

    assert [each.status_code for each in (agents, made, calls)] == [200, 403, 403]
    assert page.evaluate(f"document.body.innerText.includes('{key}')") is False
    assert page.evaluate(f"document.body.innerText.includes('…{key[-4:]}')") is True


def test_a_key_is_renamed_rotated_and_revoked(server: Installation, page: Page) -> None:
    key = server.run("keys", "create", "--name", "Old CRM")
    page.open(f"{server.urls[0]}/settings/api-keys")
    page.click("Actions for Old CRM")
    page.click("Rename or change …")
    page.fill("Name", "CRM")
    page.click("Save")
    page.click("Actions for CRM")
    page.click("Rotate …")
    page.choose("The old text stays good for", "Not at all: it ends now")
    page.click("Rotate the key")
    rotated = page.wait(KEY_SHOWN)
    page.click("I have copied it")

    with server.client(key=key) as before, server.client(key=rotated) as after:
        assert (before.get("/agents").status_code, after.get("/agents").status_code) == (401, 200)

        page.click("Actions for CRM")
        page.click("Revoke …")
        page.fill("Type CRM to confirm", "CRM")
        page.click("Revoke the key")
        page.unsee("Type CRM to confirm")

        assert after.get("/agents").status_code == 401
    page.unsee("CRM")
    page.click("Show revoked keys, too")
    page.see("Revoked")


def test_what_the_server_refuses_is_said_where_it_was_asked(server: Installation, page: Page) -> None:
    page.open(f"{server.urls[0]}/settings/api-keys?make=1")
    page.fill("Name", "Office")
    page.fill("From these addresses only", "10.0.0.1/8")
    page.click("Make the key")

    said = page.wait("document.querySelector('[role=dialog] [role=alert]')?.innerText")

    assert said == "allowedIps must be an IP address or a CIDR range such as 10.0.0.0/8, without host bits"
    page.press("Escape")
    page.unsee("From these addresses only")
    assert page.evaluate("location.search") == ""


def test_an_endpoint_is_added_tested_and_its_delivery_sent_again(
    server: Installation, page: Page, receiving: Receiver
) -> None:
    receiving.statuses["/"] = [500]
    page.open(f"{server.urls[0]}/integrations/webhooks")
    page.click("Add an endpoint")
    page.fill("URL", f"{receiving.url}/")
    page.click("Add the endpoint")
    secret = page.wait("document.querySelector('[role=dialog] code:last-of-type')?.closest('[role=dialog]')"
                       ".innerText.match(/whsec_[\\w+\\/=]+/)?.[0]")  # fmt: skip
    page.click("I have copied it")
    page.click(f"Actions for {receiving.url}/")
    page.click("Send a test event …")
    page.click("Send the event")
    page.click("See what came back")
    page.see("500")
    page.click("Send it again")
    page.see("2 attempts")
    page.see("200")

    first, again = receiving.wait_for(2)

    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body
    assert secret.startswith("whsec_")
    page.see("Manual")
    assert serious(page) == []
    page.click("Webhook logs")
    page.see("call.ended")
    page.see("Delivered")


def test_a_call_is_placed_followed_and_heard(server: Installation, page: Page) -> None:
    page.open(f"{server.urls[0]}/calls")
    page.click("Place a call")
    page.fill("To", "+15555550100")
    page.choose("Agent", "Sarah, sales")
    page.choose("From", page.wait(NUMBER))
    page.click("Place the call")
    page.see("The agent ended the call")
    page.see("Appointment booked")
    page.see("Analysis")

    heard = page.wait(
        """(async () => {
            const player = document.querySelector('audio');
            if (!player || !(player.duration > 0)) return null;
            player.muted = true;
            await player.play();
            return player.currentTime > 0 && {duration: Math.round(player.duration), error: player.error};
        })()"""
    )

    assert serious(page) == []
    assert heard["error"] is None
    assert heard["duration"] > 20
    assert "Please book it." in page.evaluate("document.querySelector('ol').innerText")


def test_a_campaign_of_twenty_runs_to_its_end(server: Installation, page: Page) -> None:
    page.open(f"{server.urls[0]}/campaigns/new")
    page.fill("Name", "First campaign")
    page.choose("Agent", "Sarah, sales")
    page.choose("From", page.wait(NUMBER))
    page.fill("Calls at the same time", "3")
    page.click("Make the campaign")
    page.see("Nobody is enrolled yet")
    page.click("Add contacts …")
    page.drop("people.csv", _people(20))
    page.see("20 rows: 20 new contacts")
    page.click("Add those of the file")
    page.see("20 contacts are added.")
    page.press("Escape")
    seen = set()

    def finished() -> int:
        return int(page.wait("document.querySelector('main').innerText.match(/(\\d+) of 20 contacts finished/)?.[1]"))

    while (count := finished()) < 20:
        seen.add(count)
    page.see("Completed")

    assert serious(page) == []
    assert len(seen) > 1  # the numbers moved while they were looked at
    assert page.evaluate("document.querySelectorAll('tbody tr').length") == 20
    page.wait("[...document.querySelectorAll('tbody tr')].every((row) => /Finished/.test(row.innerText))")


def test_pages_are_found_by_their_names(server: Installation, page: Page) -> None:
    page.open(f"{server.urls[0]}/")
    page.see("Overview")
    page.press("k", control=True)
    page.wait("document.activeElement.getAttribute('role') === 'combobox'")
    page.send("Input.insertText", text="web log")
    page.wait("document.querySelectorAll('[role=option]').length === 1")

    page.press("Enter")

    page.see("Webhook logs")
    assert page.evaluate("location.pathname") == "/integrations/webhooks/logs"


def test_every_page_fits_and_can_be_read_by_everybody(server: Installation, page: Page) -> None:
    page.open(f"{server.urls[0]}/")
    found = {}

    for place in PLACES:
        page.evaluate(f"history.pushState(null, '', '{place}')")
        page.wait("document.querySelector('h1') && !document.querySelector('[role=status]')")
        for width, scheme in [(1280, "light"), (380, "dark")]:
            page.resize(width, 800)
            page.prefer(scheme)
            fits = page.evaluate(PAGE_FITS)
            found[place, width] = (serious(page), fits)

    page.resize(1280, 900)
    page.prefer("light")
    assert found == dict.fromkeys(found, ([], True))


def test_the_places_are_those_that_are_routed() -> None:
    assert {place.split("/")[1] for place in PLACES} - {""} == set(PAGES)


def test_the_policy_is_what_the_browser_is_told(server: Installation) -> None:
    answer = httpx.get(f"{server.urls[0]}/calls")

    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


def test_who_signs_out_is_out(server: Installation, page: Page) -> None:
    page.open(f"{server.urls[0]}/calls")

    page.click("Sign out")

    page.see("Sign in")
    page.open(f"{server.urls[0]}/calls")
    page.see("Sign in")


def test_whose_session_ends_signs_in_again_and_is_where_they_were(server: Installation, page: Page) -> None:
    page.open(f"{server.urls[0]}/calls?status=FAILED")
    page.see("Place a call")

    page.send("Network.clearBrowserCookies")
    page.see("Your session has ended.")
    page.complaints.clear()
    page.fill("E-mail address", OWNER)
    page.fill("Password", PASSWORD)
    page.click("Sign in")

    page.see("Place a call")
    assert page.evaluate("location.pathname + location.search") == "/calls?status=FAILED"


def test_without_chromium_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)

    with pytest.raises(RuntimeError, match="apt-get install chromium"), chromium():
        pass

    assert "Chromium" in MISSING
    assert driver.NAMES[0] == "chromium"


def serious(page: Page) -> list[str]:
    """What is serious, or worse, for somebody who cannot see the page, or not its colours."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    return list(page.evaluate(SERIOUS))


def _people(count: int) -> str:
    """A CSV file of people who are not interested: calls of about twelve seconds, in the sandbox's time."""
    rows = [f"+1{area}5550101,Person {area}" for area in range(202, 202 + count)]
    return "\n".join(["phoneNumber,name", *rows])
