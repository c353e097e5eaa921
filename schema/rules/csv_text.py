"""A CSV file as people have it: from any spreadsheet, with any of the usual delimiters and line ends.

Rows have the numbers that a spreadsheet shows: the header is row 1 if nothing stands above it, a record whose quoted
cells have line breaks is one row, and an empty row counts although it is passed over.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from schema.errors import Invalid

_DELIMITERS = ",;\t"
_SEP = re.compile(r'\ufeff?"?sep=([,;\t|])"?(?:\r\n|\r|\n)', re.IGNORECASE)  # what Excel has above a table, and hides
_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n)|[^\r\n]++\Z")  # not splitlines(), which knows ten more kinds of line ends
_HELP = "save it as CSV UTF-8"


def decode(content: bytes) -> str:
    """The text of a file: UTF-8 with or without a byte order mark, or UTF-16 with one, as Excel writes it.

    Raises Invalid, with what to do about it.
    """
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Invalid(f"The file is a workbook, not CSV: {_HELP}")
    is_utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid(f"The file is not {'UTF-16' if is_utf_16 else 'UTF-8'} text: {_HELP}") from None


class Record(NamedTuple):
    """The cells of a row, as they stand in the file."""

    number: int
    cells: list[str]


class CsvText:
    """A table with a header, read from its beginning to its end, once."""

    def __init__(self, text: str, is_header: Callable[[Sequence[str]], bool]) -> None:
        """Read the header: of the ways to cut the first row that has something, one that `is_header` likes.

        Raises Invalid for what is no text or has no row.
        """
        if "\0" in text:
            raise Invalid(f"The file is not text, it has NUL characters: {_HELP}")
        above = _SEP.match(text)
        self.length = len(text)
        self.offset = above.end() if above else int(text.startswith("\ufeff"))
        """Characters read so far, of `length`."""
        self._text = text
        self._records, header = self._cut(self.offset, above[1] if above else _DELIMITERS, is_header)
        self.titles: Sequence[str] = [title.strip() for title in header.cells]

    def rows(self) -> Iterator[Record]:
        """The rows below the header that are not empty.

        Raises Invalid where quotation marks are such that what follows could not be trusted.
        """
        return filter(_has_something, self._records)

    def _cut(
        self, start: int, delimiters: str, is_header: Callable[[Sequence[str]], bool]
    ) -> tuple[Iterator[Record], Record]:
        found: list[tuple[Iterator[Record], Record]] = []
        refusal: Invalid | None = None
        for delimiter in delimiters:
            records = _records(self._lines(start), delimiter)
            try:
                header = next(filter(_has_something, records), None)
            except Invalid as error:
                refusal = error
            else:
                found += [(records, header)] if header else []
        if not found:
            raise refusal or Invalid("The file is empty")
        return max(found, key=lambda cut: (is_header(cut[1].cells), len(cut[1].cells)))

    def _lines(self, start: int) -> Iterator[str]:
        for found in _LINE.finditer(self._text, start):
            self.offset = found.end()
            yield found[0]


def _has_something(record: Record) -> bool:
    return any(map(str.strip, record.cells))


def _records(lines: Iterator[str], delimiter: str) -> Iterator[Record]:
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, 1):
            yield Record(number, cells)
    except csv.Error as error:
        raise Invalid(f"Row {number + 1}: {_sentence(str(error), delimiter)}") from None


def _sentence(said: str, delimiter: str) -> str:
    if "unexpected end" in said:
        return "a quotation mark opens a cell that never ends"
    if "field limit" in said:
        return "a cell is far too long; perhaps its quotation mark is never closed"
    end = "a tab" if delimiter == "\t" else f"'{delimiter}'"
    return f"a quoted cell must end before {end} or the end of the line; write a quotation mark inside of it twice"
