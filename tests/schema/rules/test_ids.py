"""Ids look like the document's and sort by creation time (decision R5)."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest

from schema.rules.ids import first_id, id_stem, is_id, made_at, new_id

LATER = datetime(2040, 1, 1, tzinfo=UTC)  # each test has its own year: the generator outlives the test
DOCUMENT = re.compile(r"c[0-9a-z]{24}")


def test_an_id_has_the_shape_of_the_documents() -> None:
    made = new_id(LATER)

    assert DOCUMENT.fullmatch(made)
    assert is_id(made)


def test_ids_sort_by_creation_time_down_to_a_microsecond() -> None:
    start = LATER + timedelta(days=365)

    made = [new_id(start + timedelta(microseconds=step)) for step in range(1_000)]

    assert made == sorted(made)


def test_ids_sort_across_decades() -> None:
    years = [2041, 2050, 2099, 2500, 3000, 5000]

    made = [new_id(datetime(year, 6, 1, tzinfo=UTC)) for year in years]

    assert made == sorted(made)
    assert {len(each) for each in made} == {25}


def test_the_time_zone_of_now_does_not_matter() -> None:
    utc = datetime(6000, 1, 1, 12, tzinfo=UTC)
    tokyo = (utc + timedelta(microseconds=1)).astimezone(timezone(timedelta(hours=9)))

    first, second = new_id(utc), new_id(tokyo)

    assert second > first


def test_ids_increase_while_the_clock_stands_still() -> None:
    now = LATER + timedelta(days=2 * 365)

    made = [new_id(now) for _ in range(10_000)]

    assert made == sorted(set(made))


def test_ids_increase_when_the_clock_goes_back_a_little() -> None:
    now = LATER + timedelta(days=3 * 365)
    before = new_id(now)

    after = new_id(now - timedelta(seconds=59))

    assert after > before


def test_a_clock_that_was_set_back_is_followed() -> None:
    now = LATER + timedelta(days=4 * 365)
    before = new_id(now)

    after = new_id(now - timedelta(hours=1))

    assert after < before


def test_threads_never_make_the_same_id_and_each_sees_its_own_increase() -> None:
    now = LATER + timedelta(days=5 * 365)
    made: list[list[str]] = [[] for _ in range(8)]

    def work(mine: list[str]) -> None:
        mine.extend(new_id(now) for _ in range(2_000))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(mine == sorted(mine) for mine in made)
    assert len({each for mine in made for each in mine}) == 16_000


def test_the_rest_of_an_id_is_random() -> None:
    now = LATER + timedelta(days=6 * 365)

    tails = {new_id(now)[12:] for _ in range(1_000)}

    assert len(tails) == 1_000
    assert len({tail[0] for tail in tails}) > 20


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c",
        "c" * 24,
        "c" * 26,
        "d" + "0" * 24,
        "C" + "0" * 24,
        "c" + "A" * 24,
        "c" + "0" * 24 + "\n",
        "c" + "٣" * 24,
    ],
)
def test_what_is_not_an_id(text: str) -> None:
    assert not is_id(text)


def test_what_is_an_id() -> None:
    assert is_id("clx" + "0" * 22)


def test_ids_of_a_stem_are_between_those_made_before_and_after() -> None:
    before, stem, after = new_id(LATER), id_stem(LATER), new_id(LATER)

    ids = [f"{stem}{count:08}" for count in (1, 2, 10, 99_999_999)]

    assert all(map(is_id, ids))
    assert sorted([after, *reversed(ids), before]) == [before, *ids, after]


def test_an_id_says_when_it_was_made() -> None:
    at = datetime(2025, 1, 15, 14, 0, 0, 123_456, tzinfo=UTC)

    assert made_at(new_id(at)) == at
    assert made_at(first_id(at)) == at
    assert made_at("c" + "z" * 24).year == 6140
