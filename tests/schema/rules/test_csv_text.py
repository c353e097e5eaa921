"""CSV as people have it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import Invalid
from schema.rules.csv_text import CsvText, decode

UMLAUT = "phone,name\n+15551234567,Zoë\n"
HELP = "save it as CSV UTF-8"
TWICE = "or the end of the line; write a quotation mark inside of it twice"


def is_header(cells: Sequence[str]) -> bool:
    return "phone" in cells


def table(text: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The titles, and the rows with their numbers."""
    read = CsvText(text, is_header)
    return list(read.titles), [tuple(row) for row in read.rows()]


def refusal(text: str) -> str:
    with pytest.raises(Invalid) as refused:
        table(text)
    return refused.value.message


# --- bytes ---


@pytest.mark.parametrize(
    "content",
    [
        UMLAUT.encode(),
        UMLAUT.encode("utf-8-sig"),
        UMLAUT.encode("utf-16"),
        b"\xff\xfe" + UMLAUT.encode("utf-16-le"),
        b"\xfe\xff" + UMLAUT.encode("utf-16-be"),
    ],
)
def test_what_spreadsheets_write_is_read(content: bytes) -> None:
    assert decode(content) == UMLAUT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (UMLAUT.encode("cp1252"), f"The file is not UTF-8 text: {HELP}"),
        (b"\xff\xfe" + b"a", f"The file is not UTF-16 text: {HELP}"),
        (b"PK\x03\x04 xl/workbook.xml", f"The file is a workbook, not CSV: {HELP}"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"The file is a workbook, not CSV: {HELP}"),
    ],
)
def test_other_bytes_are_refused_with_what_to_do(content: bytes, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode(content)

    assert refused.value.message == message


@pytest.mark.parametrize("text", ["phone\n\0", "phone".encode("utf-16-le").decode()])
def test_nul_characters_are_not_text(text: str) -> None:
    assert refusal(text) == f"The file is not text, it has NUL characters: {HELP}"


# --- rows and their numbers ---


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("last", ["", "\n"])
def test_any_delimiter_and_line_end(end: str, delimiter: str, last: str) -> None:
    text = end.join(["phone,name", '1,"a', 'b"', "", " ,", "2,c"]).replace(",", delimiter) + last

    titles, rows = table(text)

    assert titles == ["phone", "name"]
    assert rows == [(2, ["1", f"a{end}b"]), (5, ["2", "c"])]


def test_the_header_may_stand_below_empty_rows() -> None:
    assert table("\n,,\nphone , name\n1,2\n") == (["phone", "name"], [(4, ["1", "2"])])


@pytest.mark.parametrize(
    ("header", "titles"),
    [
        ("phone", ["phone"]),
        ("phone;name, first", ["phone", "name, first"]),
        ('"name, ""first"";";phone', ['name, "first";', "phone"]),
        ("notes; and more,phone", ["notes; and more", "phone"]),
        ("a\tb,c,d\tphone", ["a", "b,c,d", "phone"]),
        ('"Phone\nnumber";phone', ["Phone\nnumber", "phone"]),
        ("phone,", ["phone", ""]),
        ("a,b;c", ["a", "b;c"]),
    ],
)
def test_the_delimiter_is_the_one_that_makes_sense_of_the_header(header: str, titles: list[str]) -> None:
    assert table(f"{header}\n")[0] == titles


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"'])
def test_the_line_that_excel_hides_is_not_counted(line: str) -> None:
    assert table(f"\ufeff{line}\r\nphone;a,b\r\n1;2,3\r\n") == (["phone", "a,b"], [(2, ["1", "2,3"])])


def test_quotation_marks_are_doubled_inside_and_may_stand_in_plain_cells() -> None:
    assert table('phone,name\n1,"Bob ""B"" Smith, Jr"\n2, "x"\n3,6" tall\n')[1] == [
        (2, ["1", 'Bob "B" Smith, Jr']),
        (3, ["2", "x"]),
        (4, ["3", '6" tall']),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The file is empty"),
        ("\ufeff", "The file is empty"),
        ("\n \n\r\n", "The file is empty"),
        ('phone,name\n1,"Bob\n2,Al\n', "Row 2: a quotation mark opens a cell that never ends"),
        (
            'phone,name\n1,x\n\n2,"Bob "B" Smith"\n',
            f"Row 4: a quoted cell must end before ',' {TWICE}",
        ),
        (
            'phone\tname\n1\t"Bob" x\n',
            f"Row 2: a quoted cell must end before a tab {TWICE}",
        ),
        (
            'phone,name\n1,"' + "x" * csv.field_size_limit() + '\n"\n',
            "Row 2: a cell is far too long; perhaps its quotation mark is never closed",
        ),
        ('"phone', "Row 1: a quotation mark opens a cell that never ends"),
    ],
)
def test_what_cannot_be_read_on_is_refused_by_its_row(text: str, message: str) -> None:
    assert refusal(text) == message


def test_how_far_it_has_been_read() -> None:
    read = CsvText("phone\n1\n22\n", is_header)
    rows = read.rows()

    seen = [(read.offset, next(rows, None)) for _ in range(3)]

    assert seen == [(6, (2, ["1"])), (8, (3, ["22"])), (11, None)]
    assert (read.offset, read.length) == (11, 11)


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(
    rows=st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=8),
    delimiter=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from(["", "\ufeff"]),
)
def test_what_another_program_writes_is_read_back(rows: list[list[str]], delimiter: str, end: str, mark: str) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([["phone", "name"], *rows])

    titles, read = table(decode((mark + written.getvalue()).encode()))

    assert titles == ["phone", "name"]
    filled = [(number, row) for number, row in enumerate(rows, 2) if any(cell.strip() for cell in row)]
    assert read == filled


@given(st.text(max_size=200))
def test_no_text_makes_it_crash(text: str) -> None:
    with suppress(Invalid):
        table(text)
