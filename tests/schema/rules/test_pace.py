"""The pace of a number: places in a row, and rests when its carrier takes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schema.rules.calls import EndReason
from schema.rules.pace import LATE, Place, backoff_s, may_try_again, pause_s, place
from tests.support.seeds import at

NOW = at("2025-01-15T14:00:00Z")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("pace", "next_free", "given_s", "expected"),
    [
        (None, None, None, (0, None)),
        (4, None, None, (0, 0.25)),
        (4, -5, None, (0, 0.25)),
        (4, 3, None, (3, 3.25)),
        (1_000, 0, None, (0, 0.001)),
        # a place that it was told before is kept: early, to the instant, and a little late
        (4, 3, 1, (1, 3)),
        (4, 3, 0, (0, 3)),
        (4, 3, -0.25, (0, 3)),
        # too late: a new one, at the end
        (4, 3, -0.251, (3, 3.25)),
        # no pace, and its carrier took nothing: one after the other, until it is back
        (None, 2, None, (2, 3)),
        (None, -2, None, (0, -2)),
    ],
)
def test_places(
    pace: int | None, next_free: float | None, given_s: float | None, expected: tuple[float, float | None]
) -> None:
    found = place(
        pace,
        None if next_free is None else later(next_free),
        None if given_s is None else later(given_s),
        NOW,
    )

    dial_s, free_s = expected
    assert found == Place(later(dial_s), None if free_s is None else later(free_s))


@example(pace=3, arrivals=[0.0] * 4)
@given(
    pace=st.integers(1, 1_000),
    arrivals=st.lists(st.floats(0, 3), min_size=1, max_size=60).map(sorted),
)
def test_never_more_than_so_many_within_any_second(pace: int, arrivals: list[float]) -> None:
    """However they come: also for three a second, whose places are no whole number of microseconds apart."""
    free, places = None, []
    for seconds in arrivals:
        found = place(pace, free, None, later(seconds))
        free = found.next_free
        places.append(found.at)

    assert places == sorted(places)
    for first, over in zip(places, places[pace:], strict=False):
        assert over - first >= timedelta(seconds=1)


@given(late_ms=st.integers(0, 10_000), given_s=st.floats(-10, 10), free_s=st.floats(0, 100))
def test_a_place_is_never_in_the_past(late_ms: int, given_s: float, free_s: float) -> None:
    found = place(10, later(free_s), later(given_s), NOW)

    assert found.at >= NOW
    assert found.at == max(later(given_s), NOW) if later(given_s) + LATE >= NOW else found.at == max(NOW, later(free_s))


@pytest.mark.parametrize(
    ("setbacks", "seconds"), [(0, 0), (1, 0), (2, 0), (3, 2), (4, 4), (5, 8), (7, 32), (8, 60), (1_000, 60)]
)
def test_a_number_rests_longer_with_each_setback(setbacks: int, seconds: float) -> None:
    assert pause_s(setbacks) == seconds


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 0), (2, 5), (3, 10), (4, 20), (8, 320), (9, 600), (1_000, 600)])
def test_a_call_waits_longer_with_each_attempt(attempts: int, seconds: float) -> None:
    assert backoff_s(attempts) == seconds


@pytest.mark.parametrize(("reason", "most"), [(EndReason.CARRIER_CONGESTION, 6), (EndReason.CARRIER_UNREACHABLE, 2)])
def test_how_often_a_call_is_tried_that_no_carrier_takes(reason: EndReason, most: int) -> None:
    age = timedelta(days=2)

    assert may_try_again(reason, most - 1, age, is_of_campaign=False)
    assert not may_try_again(reason, most, age, is_of_campaign=False)


@pytest.mark.parametrize("reason", [EndReason.CARRIER_CONGESTION, EndReason.CARRIER_UNREACHABLE])
def test_a_campaigns_call_is_tried_for_a_day(reason: EndReason) -> None:
    """However often: an outage must not use up its contacts."""
    assert may_try_again(reason, 1_000, timedelta(hours=23, minutes=59), is_of_campaign=True)
    assert not may_try_again(reason, 2, timedelta(days=1), is_of_campaign=True)


@pytest.mark.parametrize(("calls_per_second", "furthest_s"), [(1, 2_060), (2, 1_560), (None, 1_060)])
def test_a_place_that_no_line_reaches_to_is_of_a_clock_that_was_wrong(
    calls_per_second: int | None, furthest_s: int
) -> None:
    real, wrong = NOW + timedelta(seconds=furthest_s), NOW + timedelta(seconds=furthest_s + 1)

    assert place(calls_per_second, real, None, NOW).at == real
    assert place(calls_per_second, wrong, None, NOW).at == NOW
