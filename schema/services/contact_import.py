"""Importing contacts from CSV: everything is checked before anything is written (decisions R9, E6, P3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import islice

from schema.errors import Invalid
from schema.rules.contact_import import MAX_ERRORS, ContactFile, GoodRow, ImportMode, RowError, WrongRow
from schema.rules.plans import Counted
from schema.runtime import Reads
from schema.services import contacts, enrolment, limits
from schema.services.bulk import Write, aside, note_growth
from schema.tables import Campaign, CampaignContact, Contact

_CHECKED_AT_ONCE = 250
_WRITTEN_AT_ONCE = 5_000  # in one statement, and with valid-rows in one transaction
_ERRORS_IN_A_SENTENCE = 10


class Stage(StrEnum):
    """What an import does first, and then."""

    CHECKING = "checking"
    WRITING = "writing"


Report = Callable[[Stage, int, int], None]
"""Told, again and again, the stage, the rows done and the rows there are; while checking, about how many."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What became of the file's contacts in the campaign: added, and those that were in it already."""

    enrolled: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class ContactImport:
    """What an import did, or would do: each row is imported, a duplicate, there already, or invalid.

    With all-or-nothing, `imported` and `existing` are 0 while `invalid` is not.
    """

    rows: int
    imported: int
    duplicates_in_file: int
    existing: int
    invalid: int
    error_count: int
    errors: list[RowError]
    enrolment: Enrolled | None


class WrongRows(Invalid):
    """All or nothing was asked for, and it is nothing; `found` says why, row by row."""

    def __init__(self, found: ContactImport) -> None:
        super().__init__(_sentence(found))
        self.found = found


@dataclass(slots=True)
class _Checked:
    """What is in a file: good rows by number, packed, in the order of the file; what is wrong with the others."""

    good: dict[str, bytes] = field(default_factory=dict)
    rows: int = 0
    duplicates: int = 0
    invalid: int = 0
    error_count: int = 0
    errors: list[RowError] = field(default_factory=list)

    def add(self, rows: Iterable[GoodRow | WrongRow]) -> int:
        """Take rows in. Returns how many there were."""
        before = self.rows
        for row in rows:
            self.rows += 1
            if isinstance(row, WrongRow):
                self.invalid += 1
                self.error_count += len(row.errors)
                self.errors += row.errors[: MAX_ERRORS - len(self.errors)]
            elif row.values["phone_number"] in self.good:
                self.duplicates += 1
            else:
                self.good[row.values["phone_number"]] = contacts.packed(row.values)
        return self.rows - before

    def result(self, imported: int, existing: int, enrolled: Enrolled | None) -> ContactImport:
        return ContactImport(
            self.rows,
            imported,
            self.duplicates,
            existing,
            self.invalid,
            self.error_count,
            self.errors,
            enrolled,
        )


async def import_contacts(
    reads: Reads,
    write: Write,
    text: str,
    *,
    mode: ImportMode = ImportMode.ALL_OR_NOTHING,
    dry_run: bool = False,
    campaign_id: str | None = None,
    report: Report = lambda *_: None,
) -> ContactImport:
    """Make contacts of the rows of a CSV text, and enrol them in a campaign if one is given.

    Contacts that are there already stay as they are. All or nothing is one transaction; valid rows are committed a few
    thousand at a time, so that others get their turns, and what stopped in the middle can be sent again. A dry run
    writes nothing, and says what would be done. A file with more new contacts than the plan has room for is refused as
    a whole in each mode: which of the rows were wanted most is not for us to guess.

    Raises Invalid for a file that cannot be read, WrongRows, NotFound, LimitReached.
    """
    campaign = None
    if campaign_id is not None:
        campaign = enrolment.check_open(await reads.get(Campaign, campaign_id))
    found = await _check(text, report)
    if found.invalid and mode is ImportMode.ALL_OR_NOTHING:
        nothing = found.result(0, 0, None if campaign is None else Enrolled(0, 0))
        if not dry_run:
            raise WrongRows(nothing)
        return nothing
    if dry_run:
        return await _foresee(reads, found, campaign)
    numbers = list(found.good)
    order = await aside(contacts.safe_order, reads, numbers)
    if mode is ImportMode.VALID_ROWS:
        imported, enrolled = await _write(write, found, order, campaign_id, report)
    else:
        async with write() as tx:
            imported, enrolled = await _write(lambda: nullcontext(tx), found, order, campaign_id, report, is_whole=True)
    in_campaign = None if campaign is None else Enrolled(enrolled, len(numbers) - enrolled)
    return found.result(imported, len(numbers) - imported, in_campaign)


async def _write(
    write: Write,
    found: _Checked,
    order: Sequence[str],
    campaign_id: str | None,
    report: Report,
    *,
    is_whole: bool = False,
) -> tuple[int, int]:
    """Returns how many contacts were made, and how many enrolled; `is_whole`: `write` is one transaction.

    Raises LimitReached, and NotFound or Invalid for the campaign.
    """
    room = limits.take_room if is_whole else limits.foresee_room
    async with write() as tx:
        if campaign_id is not None:
            await enrolment.opened(tx, campaign_id)  # before the contacts: so does everybody who locks both
        await room(tx, Counted.CONTACTS, len(order), partial(enrolment.count_new, tx, order))
    imported = await _add(write, found, order, report, is_taken=is_whole)
    return imported, 0 if campaign_id is None else await _enrol(write, list(found.good), campaign_id)


async def _add(write: Write, found: _Checked, order: Sequence[str], report: Report, *, is_taken: bool) -> int:
    added = 0
    for done, piece in _pieces(order):
        async with write() as tx:
            if not is_taken:
                await limits.take_room(tx, Counted.CONTACTS, len(piece), partial(enrolment.count_new, tx, piece))
            added += await contacts.add_missing(tx, [found.good[number] for number in piece])
            if done == len(order):
                await note_growth(tx, Contact, added)
        report(Stage.WRITING, done, len(order))
    return added


async def _enrol(write: Write, numbers: Sequence[str], campaign_id: str) -> int:
    added = 0
    for done, piece in _pieces(numbers):
        async with write() as tx:
            added += await enrolment.add_numbers(tx, await enrolment.opened(tx, campaign_id), piece)
            if done == len(numbers):
                await note_growth(tx, CampaignContact, added)
    return added


async def _check(text: str, report: Report) -> _Checked:
    """Read the whole file, away from the event loop. Raises Invalid."""
    found = _Checked()
    file = await aside(ContactFile, text)
    rows = file.rows()
    while await aside(found.add, islice(rows, _CHECKED_AT_ONCE)):
        report(Stage.CHECKING, found.rows, round(found.rows / file.part_read))
    return found


async def _foresee(reads: Reads, found: _Checked, campaign: Campaign | None) -> ContactImport:
    """What would be done with the good rows."""
    many = len(found.good)
    known = await aside(enrolment.with_numbers, reads, found.good)
    existing = await reads.count(known)
    await limits.check_room(reads, Counted.CONTACTS, many - existing)
    in_campaign = None
    if campaign is not None:
        enrolled = await enrolment.count_enrolled(reads, campaign, known)
        in_campaign = Enrolled(many - enrolled, enrolled)
    return found.result(many - existing, existing, in_campaign)


def _pieces(numbers: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Each with how many there are up to its end."""
    for start in range(0, len(numbers), _WRITTEN_AT_ONCE):
        piece = numbers[start : start + _WRITTEN_AT_ONCE]
        yield start + len(piece), piece


def _sentence(found: ContactImport) -> str:
    told = [f"row {error.row}: {error.message}" for error in found.errors[:_ERRORS_IN_A_SENTENCE]]
    if found.error_count > len(told):
        told.append(f"and {found.error_count - len(told):,} more, which dryRun lists")
    are = "is" if found.invalid == 1 else "are"
    return f"{found.invalid:,} of {found.rows:,} rows {are} wrong, so nothing was imported: {'; '.join(told)}"
