"""A campaign from Friday to Monday, in virtual time: the same each time, and by the rules (decisions P1–P5, L4, L5).

What was dialed is asked of the sandbox's ledger, which a dial cannot pass by.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from schema.rules import phone
from scripts.replay.campaign import FRIDAY, RULES, ZONE, Cast, drawn, replay
from scripts.replay.timeline import Dial, Timeline

pytestmark = pytest.mark.xdist_group("replay")

ROOT = Path(__file__).parent.parent.parent
SEED, SIZE = 7, 30
POLICY = RULES["retry_policy"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """One run, with the ledger's dials: number and instant."""

    cast: Cast
    timeline: Timeline
    dialed: list[tuple[str, datetime]]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """The campaign, run once."""
    cast, data = drawn(SEED, SIZE), tmp_path_factory.mktemp("replay")
    timeline = replay(cast, data)
    with sqlite3.connect(data / "sandbox.db") as ledger:
        rows = ledger.execute("SELECT to_number, at FROM dials JOIN legs USING (reference) ORDER BY at").fetchall()
    ledger.close()
    return Replayed(cast, timeline, [(number, datetime.fromtimestamp(at, UTC)) for number, at in rows])


@pytest.fixture
def tries(replayed: Replayed) -> dict[str, list[list[Dial]]]:
    """Of each number, its tries, each with the dials it took."""
    found: defaultdict[str, defaultdict[int, list[Dial]]] = defaultdict(lambda: defaultdict(list))
    for dial in replayed.timeline.dials:
        found[dial.number][dial.attempt].append(dial)
    return {number: [dials for _, dials in sorted(attempts.items())] for number, attempts in found.items()}


def test_another_process_tells_the_same_story(replayed: Replayed) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "1234"}
    command = [sys.executable, "-m", "scripts.replay", "--seed", str(SEED), "--contacts", str(SIZE)]

    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)

    *story, _, digest = told.stdout.splitlines()
    assert story == [*replayed.timeline.lines(), "", *replayed.timeline.summary(), ""]
    assert digest == f"Digest: {replayed.timeline.digest}"
    assert told.stderr == ""


def test_a_second_run_is_the_same_to_the_microsecond(replayed: Replayed, tmp_path: Path) -> None:
    again = replay(drawn(SEED, SIZE), tmp_path)

    assert again == replayed.timeline
    assert again.digest == replayed.timeline.digest


def test_other_people_make_another_story(replayed: Replayed, tmp_path: Path) -> None:
    other = replay(drawn(SEED + 1, 10), tmp_path)

    assert other.digest != replayed.timeline.digest


def test_everybody_was_dealt_with_and_the_campaign_is_complete(replayed: Replayed) -> None:
    contacts = replayed.timeline.contacts

    assert replayed.timeline.status == "completed"
    assert [contact.number for contact in contacts] == list(replayed.cast.numbers)
    assert {contact.status for contact in contacts} == {"finished"}
    assert "internal-error" not in {contact.end_reason for contact in contacts}


def test_the_weekend_lies_in_between(replayed: Replayed) -> None:
    days = {at.astimezone(ZoneInfo(ZONE)).date() for _, at in replayed.dialed}

    assert days == {date(2025, 3, 7), date(2025, 3, 10)}


def test_nothing_was_dialed_outside_the_window(replayed: Replayed) -> None:
    for number, at in replayed.dialed:
        wall = at.astimezone(ZoneInfo(ZONE))
        assert at >= FRIDAY, number
        assert wall.strftime("%A") not in ("Saturday", "Sunday"), number
        assert time(9) <= wall.time() < time(17), number


def test_nobody_was_called_outside_their_own_hours(replayed: Replayed) -> None:
    for number, at in replayed.dialed:
        walls = [at.astimezone(ZoneInfo(zone)).time() for zone in phone.zones(number)]
        assert walls
        assert all(time(10) <= wall < time(19) for wall in walls), number


def test_what_was_dialed_is_what_the_time_line_tells(replayed: Replayed) -> None:
    told = [dial.number for dial in replayed.timeline.dials if not dial.is_refused]
    lost = [number for number in told if number.endswith("46")]  # orders that never reached the carrier

    assert sorted(number for number, _ in replayed.dialed) == sorted(number for number in told if number not in lost)
    assert lost


def test_nobody_was_dialed_more_often_than_allowed(replayed: Replayed, tries: dict[str, list[list[Dial]]]) -> None:
    dialed = [number for number, _ in replayed.dialed]

    assert max(map(dialed.count, dialed)) == POLICY["max_attempts"]
    assert max(len(each) for each in tries.values()) == POLICY["max_attempts"]
    assert {contact.number: contact.attempts for contact in replayed.timeline.contacts if contact.attempts} == {
        number: len(each) for number, each in tries.items()
    }


def test_a_try_waits_for_its_delay(tries: dict[str, list[list[Dial]]]) -> None:
    delays = [timedelta(minutes=minutes) for minutes in POLICY["delay_minutes"]]
    waits = {
        (number, index): later[0].at - earlier[-1].ended_at
        for number, each in tries.items()
        for index, (earlier, later) in enumerate(pairwise(each))
    }

    assert {index for _, index in waits} == {0, 1}
    assert {each: wait for each, wait in waits.items() if wait < delays[each[1]]} == {}


def test_only_who_was_not_reached_is_tried_again(tries: dict[str, list[list[Dial]]]) -> None:
    again = {each[-1].end_reason for attempts in tries.values() for each in attempts[:-1]}
    given_up = {each[-1][-1].end_reason for each in tries.values() if len(each) < POLICY["max_attempts"]}

    assert again == {"busy", "no-answer", "voicemail"}
    assert not given_up & again


def test_a_call_that_its_carrier_refused_is_dialed_again_within_its_try(tries: dict[str, list[list[Dial]]]) -> None:
    congested = [each for number, attempts in tries.items() if number.endswith("44") for each in attempts]

    assert congested
    assert {tuple(dial.is_refused for dial in dials) for dials in congested} == {(True, False)}
    assert {dials[-1].outcome for dials in congested} == {"appointment-booked"}


def test_no_more_calls_than_allowed_were_under_way(replayed: Replayed) -> None:
    dials = replayed.timeline.dials
    moment = timedelta(milliseconds=1)  # by which the carrier's clock and ours may differ
    most = max(sum(dial.at <= begun.at < dial.ended_at - moment for dial in dials) for begun in dials)

    assert most == RULES["max_concurrent_calls"]


def test_who_is_not_to_be_called_was_not(replayed: Replayed) -> None:
    dialed = [number for number, _ in replayed.dialed]
    blocked = {each.number for each in replayed.timeline.contacts if each.end_reason == "blocked-do-not-call"}

    assert blocked == set(replayed.cast.not_to_be_called)
    assert blocked
    assert not blocked & set(dialed)


def test_who_asks_not_to_be_called_again_was_called_once(
    replayed: Replayed, tries: dict[str, list[list[Dial]]]
) -> None:
    opted_out = {number for number, each in tries.items() if each[-1][-1].end_reason == "opted-out"}

    assert opted_out
    assert {len(tries[number]) for number in opted_out} == {1}
