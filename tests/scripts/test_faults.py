"""The pure parts of `scripts/faults`: where it strikes, what it counts, and when it says that a number was missed."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

FAULTS = Path(__file__).parent.parent.parent / "scripts" / "faults"


def load(name: str) -> ModuleType:
    """A module of the suite, whose directory is not on the path."""
    spec = importlib.util.spec_from_file_location(name, FAULTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its data classes look for their annotations, and `receiving` for its siblings
    spec.loader.exec_module(module)
    return module


points, counting, receiving = (load(name) for name in ("points", "counting", "receiving"))
Outcome, Request, Strike = counting.Outcome, counting.Request, counting.Strike


def request(
    at: float, *, id: str = "e1", answered_at: float | None = None, status: int = 200, **more: object
) -> Request:
    """A webhook to `/hooks/0` over connection 1."""
    given = {"path": "/hooks/0", "connection": 1, "event": "call.ended", "call": "c1", **more}
    return Request(id=id, at=at, answered_at=answered_at, status=status if answered_at else 0, **given)


def outcome(**given: object) -> Outcome:
    return Outcome("a-fault", "embedded", **given)


# --- where it strikes


def test_the_same_seed_strikes_at_the_same_points() -> None:
    def of(seed: int, name: str) -> list[object]:
        return list(points.points(seed, name, count=20, work=500, victims=["up", "work"]))

    assert of(1, "a-fault") == of(1, "a-fault")
    assert of(1, "a-fault") != of(2, "a-fault")
    assert of(1, "a-fault") != of(1, "another")


def test_points_come_in_order_and_inside_the_work() -> None:
    found = points.points(7, "a-fault", count=200, work=100, victims=["up"])

    afters = [point.after for point in found]
    assert len(found) == 200
    assert afters == sorted(afters)
    assert (afters[0], afters[-1]) == (3, 97)
    assert all(0 <= point.delay_s <= 0.5 for point in found)


def test_a_victim_named_twice_is_struck_twice_as_often() -> None:
    found = points.points(7, "a-fault", count=3_000, work=100, victims=["serve", "work", "work"])

    assert Counter(point.victim for point in found)["work"] == pytest.approx(2_000, abs=150)


def test_each_number_comes_once_and_the_halves_have_none_in_common() -> None:
    halves = [list(points.numbers(1, "a-fault", ["40", "43"], half=half)) for half in (0, 1)]

    every = [*halves[0], *halves[1]]
    assert len(set(every)) == len(every) == 2 * 790
    assert {number[-2:] for number in every} == {"40", "43"}
    assert not any(number.startswith("+1900") for number in every)
    assert list(points.numbers(1, "a-fault", ["40", "43"], half=0)) == halves[0]


# --- what the receiver's log says


def test_the_log_is_read_as_it_was_written() -> None:
    lines = [
        "r 1 7 10.5 /hooks/3 e1 call.ended c1 99",
        "a 1 10.75 200",
        "r 2 8 11.0 /hooks/3 e2 call.ended c2 98",
        "c 7 12.0",
        "a 2 12",  # not yet written to its end
    ]

    first, second = receiving.read("\n".join(lines))

    assert first == Request("/hooks/3", "e1", 7, 10.5, "call.ended", "c1", 99, 10.75, 200, 12.0)
    assert second == Request("/hooks/3", "e2", 8, 11.0, "call.ended", "c2", 98)


# --- copies and what was in flight


def test_a_copy_is_a_request_beyond_the_first_of_a_delivery() -> None:
    requests = [
        request(1, answered_at=1.1),
        request(13, answered_at=13.1),
        request(25, answered_at=25.1),
        request(1, id="e2", answered_at=1.1),
        request(1, path="/hooks/1", answered_at=1.1),
    ]

    assert counting.copies(requests) == 2


def test_a_request_that_follows_a_refusal_is_no_copy() -> None:
    requests = [request(1, answered_at=1.1, status=500), request(2, answered_at=2.1), request(14, answered_at=14.1)]

    assert counting.copies(requests) == 1


def test_a_copy_with_other_bytes_is_noticed() -> None:
    same = [request(1, body=5), request(2, body=5)]

    assert counting.altered(same) == 0
    assert counting.altered([*same, request(3, body=6), request(4, body=7)]) == 1


@pytest.mark.parametrize(
    ("one", "count"),
    [
        (request(9.5, closed_at=10.1), 1),  # being answered
        (request(9.5, answered_at=9.9, closed_at=10.1), 1),  # answered, hardly written down
        (request(9.5, answered_at=10.05, closed_at=10.1), 1),  # answered to a process that was dead
        (request(10.2, closed_at=10.3), 1),  # in the socket when its sender died
        (request(8.0, answered_at=8.5, closed_at=10.1), 0),  # long over
        (request(9.5), 0),  # of a process that lives
        (request(9.5, closed_at=9.9), 0),  # given up before
        (request(9.5, closed_at=12.0), 0),  # given up after
    ],
)
def test_in_flight_at_a_kill_is_what_its_process_waited_for(one: Request, count: int) -> None:
    assert counting.in_flight([one], [Strike(10.0, "work-1")]) == count


@pytest.mark.parametrize(
    ("one", "count"),
    [
        (request(9.5), 1),
        (request(9.5, answered_at=14.0), 1),
        (request(9.5, answered_at=9.8), 1),
        (request(8.0, answered_at=8.5), 0),
        (request(10.1), 0),
    ],
)
def test_in_flight_at_a_freeze_is_whatever_was_not_answered(one: Request, count: int) -> None:
    assert counting.in_flight([one], [Strike(10.0, "work-1", cuts=False)]) == count


# --- lost, twice, recovery, the hang


def test_what_was_never_answered_with_a_2xx_is_lost() -> None:
    arrived = request(1, answered_at=1.1)
    refused = request(1, call="c2", answered_at=1.1, status=500)
    silent = request(1, call="c3")
    promised = [("/hooks/0", call, "call.ended") for call in ("c1", "c2", "c3", "c4")]

    lost = counting.undelivered(promised, [arrived, refused, silent])

    assert [call for _, call, _ in lost] == ["c2", "c3", "c4"]


def test_a_number_may_be_dialed_once_unless_it_is_said_how_often() -> None:
    dials = {"+1": 1, "+2": 2, "+3": 2, "+4": 3}

    assert counting.dialed_too_often(dials, {"+3": 2, "+4": 2}) == ["+2", "+4"]


STRIKES = [Strike(10.0, "work-1"), Strike(14.0, "work-1"), Strike(16.0, "work-2"), Strike(40.0, "work-2")]


@pytest.mark.parametrize(
    ("struck", "until", "moved_at", "took_s"),
    [
        (0, 25.0, 15.0, 5.0),  # whoever died at 14 has just been started: it is not its row
        (0, 25.0, 25.5, 9.5),  # it may have been the other's, who died at 16
        (2, 31.0, 33.0, 17.0),
        (2, 31.0, 42.0, 2.0),  # whose turn it was died, too
        (0, 13.0, 15.0, 1.0),
    ],
)
def test_recovery_counts_from_the_death_of_whoever_had_the_row(
    struck: int, until: float, moved_at: float, took_s: float
) -> None:
    held = counting.Held("Call", "c1", 7, until, STRIKES[struck])

    assert counting.recovery(STRIKES, held, moved_at) == took_s


def test_the_p99_is_what_99_of_100_do_not_exceed() -> None:
    assert counting.p99(range(1, 101)) == 100
    assert counting.p99(range(1, 201)) == 199
    assert counting.p99([3.0]) == 3.0


def test_the_hang_is_compared_round_by_round() -> None:
    assert counting.hang_ratio([[1.0], [2.0], [10.0]], [[1.2], [2.2], [90.0]]) == pytest.approx(1.2)


# --- verdicts


def test_what_met_every_number_held() -> None:
    good = outcome(copies=3, in_flight=3, recovery_s=20.0, ratio=1.25)

    assert (good.misses, good.verdict) == ([], "held")


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({"lost": 1}, "1 lost"),
        ({"twice": 2}, "2 dialed twice"),
        ({"stuck": 3}, "3 stuck"),
        ({"copies": 4, "in_flight": 3}, "4 copies, but 3 in flight"),
        ({"recovery_s": 20.1}, "recovery took 20.1 s"),
        ({"ratio": 1.26}, "p99 × 1.26"),
        ({"wrong": ["a row is wrong", "b", "a row is wrong"]}, "3 wrong"),
        ({"lost": 1, "stuck": 1}, "1 lost; 1 stuck"),
    ],
)
def test_each_missed_number_is_in_the_verdict(given: dict[str, object], verdict: str) -> None:
    assert outcome(**given).verdict == verdict


def test_the_same_sentence_is_said_once() -> None:
    bad = outcome(wrong=["a row is wrong", "b", "a row is wrong"], lost=1, lost_ones=["call c1"])

    assert bad.details == ["a row is wrong (× 2)", "b", "lost: call c1"]
