"""Contacts in a CSV file: which column is what, which row is what contact, and what is wrong with the others (R9)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schema.errors import Invalid
from schema.rules import phone
from schema.rules.contacts import CONTACT, CUSTOM_NAME, CUSTOM_TEXT, MAX_CUSTOM_FIELDS
from schema.rules.csv_text import CsvText
from schema.rules.fields import camel

MAX_BYTES = 25 * 1024 * 1024  # decision E6
MAX_ROWS = 100_000
MAX_ERRORS = 1_000
"""How many of a file's errors are told one by one; all are counted."""


class ImportMode(StrEnum):
    """What becomes of the good rows of a file in which others are wrong."""

    ALL_OR_NOTHING = "all-or-nothing"
    VALID_ROWS = "valid-rows"


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong in one cell, or (`field` None) with a row as a whole; `field` is named as in the API."""

    row: int
    field: str | None
    message: str


@dataclass(frozen=True, slots=True)
class GoodRow:
    """A row that is a contact: its checked values by Python name."""

    number: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A row that is none, with everything that is wrong with it."""

    number: int
    errors: list[RowError]


# How a column may be titled, without case, blanks and punctuation. Our own name for it comes first, and wins.
_TITLES = {
    "phone_number": (
        *("phonenumber", "phone", "phoneno", "telephone", "telephonenumber", "tel"),
        *("mobile", "mobilenumber", "mobilephone", "cell", "cellphone", "cellnumber"),
    ),
    "name": ("name", "fullname", "contactname"),
    "email": ("email", "emailaddress", "mail"),
    "timezone": ("timezone", "tz"),
    "notes": ("notes", "note", "comments", "comment"),
}
_FIRST_NAMES = ("firstname", "givenname", "forename")
_LAST_NAMES = ("lastname", "surname", "familyname")

# Around a number: blanks, and what copying from an address book leaves that nobody sees.
_EDGES = " \t\r\n\xa0\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_AS_TEXT = re.compile(r"""'(.*)|="(.*)\"""")  # how a spreadsheet is told to leave a number alone
_SCIENTIFIC = re.compile(r"\+?[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+", re.ASCII)
_FORMATTING = re.compile(r"[ \xa0().\-\u2010-\u2015/]")
_E164 = re.compile(phone.E164, re.ASCII)


class ContactFile:
    """A file of contacts, read from its beginning to its end, once."""

    def __init__(self, text: str) -> None:
        """Read the header. Raises Invalid for a file without one that can be used."""
        self._table = CsvText(text, _has_number)
        self._columns = _Columns(self._table.titles)

    @property
    def part_read(self) -> float:
        """From 0 to 1."""
        return self._table.offset / self._table.length

    def rows(self) -> Iterator[GoodRow | WrongRow]:
        """Every row that is not empty.

        Raises Invalid for too many, and where quotation marks are such that what follows could not be trusted.
        """
        for count, (number, cells) in enumerate(self._table.rows(), 1):
            if count > MAX_ROWS:
                raise Invalid(f"The file has more than {MAX_ROWS:,} rows: import it in parts")
            values, errors = self._columns.read(number, cells)
            yield WrongRow(number, errors) if errors else GoodRow(number, values)


class _Columns:
    """What each column of the file is, by its title."""

    def __init__(self, titles: Sequence[str]) -> None:
        """Raises Invalid for a header that does not say what its columns are."""
        found = {name: _column_of(name, known, titles) for name, known in _TITLES.items()}
        fields = {name: column for name, column in found.items() if column is not None}
        if "phone_number" not in fields:
            raise Invalid(
                "The first row must name the columns, and one of them must be phoneNumber (or phone, mobile …); "
                f"it has: {', '.join(map(_quoted, titles[:10]))}{' …' if len(titles) > 10 else ''}"
            )
        parts = [] if "name" in fields else [_column_of("name", known, titles) for known in (_FIRST_NAMES, _LAST_NAMES)]
        self._width = len(titles)
        self._phone = fields.pop("phone_number")
        self._fields = fields
        self._name_parts = [column for column in parts if column is not None]
        taken = {self._phone, *self._fields.values(), *self._name_parts}
        self._custom = _custom({column: title for column, title in enumerate(titles) if title and column not in taken})
        self._untitled = [column for column, title in enumerate(titles) if not title]

    def read(self, number: int, cells: Sequence[str]) -> tuple[dict[str, Any], list[RowError]]:
        """The contact in the cells of a row, and what is wrong with it."""
        if len(cells) != self._width:
            counted = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
            return {}, [RowError(number, None, f"The row has {counted} where the header has {self._width}")]
        values: dict[str, Any] = {}
        errors: list[RowError] = []
        try:
            values["phone_number"] = read_number(cells[self._phone])
        except Invalid as error:
            errors.append(RowError(number, "phoneNumber", error.message))
        for name, text in self._texts(cells):
            try:
                values[name] = CONTACT.fields[name].check(text, camel(name))
            except Invalid as error:
                errors.append(RowError(number, camel(name), error.message))
        values["custom_fields"] = custom = {}
        for title, column in self._custom.items():
            if text := cells[column].strip():
                try:
                    custom[title] = CUSTOM_TEXT(text, f"customFields.{title}")
                except Invalid as error:
                    errors.append(RowError(number, f"customFields.{title}", error.message))
        errors += [
            RowError(number, None, f"Column {column + 1} has a value and no title")
            for column in self._untitled
            if cells[column].strip()
        ]
        return values, errors

    def _texts(self, cells: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The contact's own fields that are not blank."""
        for name, column in self._fields.items():
            if text := cells[column].strip():
                yield name, text
        parts = (cells[column].strip() for column in self._name_parts)
        if text := " ".join(filter(None, parts)):
            yield "name", text


def read_number(cell: str) -> str:
    """The number in a cell, E.164. Raises Invalid, with what a spreadsheet may have done to it."""
    text = cell.strip(_EDGES)
    if wrapped := _AS_TEXT.fullmatch(text):
        text = (wrapped[1] or wrapped[2] or "").strip(_EDGES)
    if not text:
        raise Invalid("phoneNumber is required")
    try:
        return phone.normalise(text, "phoneNumber")
    except Invalid as refusal:
        raise Invalid(_closer_look(text) or refusal.message) from None


def _closer_look(text: str) -> str | None:
    if _SCIENTIFIC.fullmatch(text):
        return (
            f"phoneNumber {_shown(text)} has lost digits in a spreadsheet: format the column as text and enter it again"
        )
    if text.isascii() and text.isdigit():
        return f"phoneNumber {_shown(text)} must begin with a plus sign and the country code, such as +15551234567"
    bare = _FORMATTING.sub("", text)
    if bare != text and _E164.fullmatch(bare):
        return f"phoneNumber {_shown(text)} must be written without blanks and punctuation: {bare}"
    return None


def _has_number(titles: Sequence[str]) -> bool:
    return any(_plain(title) in _TITLES["phone_number"] for title in titles)


def _column_of(name: str, known: Sequence[str], titles: Sequence[str]) -> int | None:
    """The column that holds a field. Raises Invalid where several might."""
    plain = [_plain(title) for title in titles]
    found = [column for column, title in enumerate(plain) if title in known]
    exact = [column for column in found if plain[column] == known[0]]
    if len(found) > 1 and len(exact) != 1:
        both = " and ".join(_quoted(titles[column]) for column in found[:2])
        raise Invalid(f"The columns {both} might both be {camel(name)}: title only one of them {camel(name)}")
    candidates = exact or found
    return candidates[0] if candidates else None


def _custom(titles: dict[int, str]) -> dict[str, int]:
    """The columns that are custom fields, by title. Raises Invalid."""
    custom: dict[str, int] = {}
    for column, title in titles.items():
        if custom.setdefault(CUSTOM_NAME(title, f"The title of column {column + 1}"), column) != column:
            raise Invalid(f"Two columns are titled {_quoted(title)}")
    if len(custom) > MAX_CUSTOM_FIELDS:
        raise Invalid(f"The file has {len(custom)} columns for customFields, which takes {MAX_CUSTOM_FIELDS}")
    return custom


def _plain(title: str) -> str:
    return "".join(filter(str.isalnum, title.casefold()))


def _quoted(title: str) -> str:
    return f"'{_shown(title)}'"


def _shown(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
