"""Which column is what, which row is what contact, and what is wrong with the others (R9)."""

from __future__ import annotations

from typing import Any

import pytest

from schema.errors import Invalid
from schema.rules import contact_import
from schema.rules.contact_import import ContactFile, GoodRow, WrongRow, read_number

NUMBER = "+15551234567"
NO_NUMBER = "The first row must name the columns, and one of them must be phoneNumber (or phone, mobile …)"
BOTH = "might both be phoneNumber: title only one of them phoneNumber"
LONG = f"'column {'x' * 33}…'"
E164 = "phoneNumber must be a phone number in E.164 such as +15551234567: a plus sign, the country code and digits"


def read(text: str) -> list[GoodRow | WrongRow]:
    return list(ContactFile(text).rows())


def values(text: str) -> dict[str, Any]:
    """What the only row of a file is."""
    (row,) = read(text)
    assert isinstance(row, GoodRow), row
    return row.values


def errors(text: str) -> list[tuple[int, str | None, str]]:
    """Everything that is wrong in a file."""
    wrong = [row for row in read(text) if isinstance(row, WrongRow)]
    assert all(error.row == row.number for row in wrong for error in row.errors)
    return [(error.row, error.field, error.message) for row in wrong for error in row.errors]


def refusal(text: str) -> str:
    with pytest.raises(Invalid) as refused:
        read(text)
    return refused.value.message


# --- columns ---


@pytest.mark.parametrize(
    "title",
    [
        *("phoneNumber", "phone_number", "Phone Number", "PHONE-NUMBER", "phone", "Phone No.", "Telephone", "tel"),
        *("mobile", "Mobile Phone", "mobile_number", "Cell", "cell phone", "CellNumber"),
    ],
)
def test_titles_of_the_number(title: str) -> None:
    assert values(f"{title},x\n{NUMBER},\n") == {"phone_number": NUMBER, "custom_fields": {}}


@pytest.mark.parametrize(
    ("title", "cell", "name"),
    [
        ("name", "Ann", "name"),
        ("Full Name", "Ann", "name"),
        ("E-Mail", "ann@example.com", "email"),
        ("email address", "ann@example.com", "email"),
        ("TimeZone", "Europe/Berlin", "timezone"),
        ("time_zone", "Europe/Berlin", "timezone"),
        ("tz", "Europe/Berlin", "timezone"),
        ("Notes", "Likes tea", "notes"),
        ("comment", "Likes tea", "notes"),
        ("First name", "Ann", "name"),
        ("surname", "Lee", "name"),
    ],
)
def test_titles_of_the_other_fields(title: str, cell: str, name: str) -> None:
    assert values(f"phone,{title}\n{NUMBER},{cell}\n") == {"phone_number": NUMBER, name: cell, "custom_fields": {}}


def test_first_and_last_name_are_joined() -> None:
    text = "Last Name,phone,First Name\nLee,+15551234567, Ann \n,+15551234568,Bob\nKim,+15551234569,\n,+15551234570,\n"

    assert [row.values.get("name") for row in read(text)] == ["Ann Lee", "Bob", "Kim", None]


def test_parts_of_a_name_that_is_there_are_custom_fields() -> None:
    assert values(f"name,first name,phone\nAnn Lee,Ann,{NUMBER}\n") == {
        "phone_number": NUMBER,
        "name": "Ann Lee",
        "custom_fields": {"first name": "Ann"},
    }


def test_every_other_column_is_a_custom_field_under_its_title() -> None:
    assert values(f"Company , Seats,phone,id,,Note\n Acme ,3,{NUMBER},,,x\n") == {
        "phone_number": NUMBER,
        "notes": "x",
        "custom_fields": {"Company": "Acme", "Seats": "3"},
    }


def test_our_own_name_for_a_column_wins() -> None:
    assert values(f"Phone,phone_number,mobile\n1,{NUMBER},2\n") == {
        "phone_number": NUMBER,
        "custom_fields": {"Phone": "1", "mobile": "2"},
    }


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "+15551234567,Ann",
            f"{NO_NUMBER}; it has: '+15551234567', 'Ann'",
        ),
        (
            ",".join(f"column {'x' * 40}{index}" for index in range(11)),
            f"{NO_NUMBER}; it has: {', '.join([LONG] * 10)} …",
        ),
        (
            "phone,mobile,name",
            f"The columns 'phone' and 'mobile' {BOTH}",
        ),
        (
            "phoneNumber,name,phone_number",
            f"The columns 'phoneNumber' and 'phone_number' {BOTH}",
        ),
        (
            "phone,notes,Comments,Notes ",
            "The columns 'notes' and 'Comments' might both be notes: title only one of them notes",
        ),
        ("phone,City,Zip,City", "Two columns are titled 'City'"),
        (f"phone,{'x' * 65}", "The title of column 2 must be between 1 and 64 characters"),
        (
            "phone," + ",".join(f"c{index}" for index in range(51)),
            "The file has 51 columns for customFields, which takes 50",
        ),
    ],
)
def test_a_header_that_cannot_be_used(header: str, message: str) -> None:
    assert refusal(f"{header}\n{NUMBER}\n") == message


def test_a_header_alone_is_a_file_without_rows() -> None:
    assert read("phone,name\n\n") == []


# --- rows ---


def test_rows_have_the_numbers_of_the_spreadsheet() -> None:
    text = 'phone,notes\n+15551234567,"two\nlines"\n\nx,\n,\n+15551234568\n+15551234569,\n'

    rows = read(text)

    assert [(type(row), row.number) for row in rows] == [(GoodRow, 2), (WrongRow, 4), (WrongRow, 6), (GoodRow, 7)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (f"{NUMBER},Ann,a@b.co", (None, "The row has 3 cells where the header has 6")),
        (f"{NUMBER}", (None, "The row has 1 cell where the header has 6")),
        (f"{NUMBER},,,,,,", (None, "The row has 7 cells where the header has 6")),
        (",Ann,,,,", ("phoneNumber", "phoneNumber is required")),
        (f"{NUMBER},Ann,ann,,,", ("email", "email must be an e-mail address")),
        (f"{NUMBER},,,Mars,,", ("timezone", "timezone must be an IANA time zone such as America/New_York")),
        (f"{NUMBER},{'x' * 201},,,,", ("name", "name must be between 0 and 200 characters")),
        (f"{NUMBER},a\x07b,,,,", ("name", "name must not contain control characters")),
        (
            f"{NUMBER},,,,{'x' * 1_001},",
            ("customFields.City", "customFields.City must be between 0 and 1,000 characters"),
        ),
        (f"{NUMBER},,,,,x", (None, "Column 6 has a value and no title")),
    ],
)
def test_what_is_wrong_with_a_row(row: str, expected: tuple[str | None, str]) -> None:
    assert errors(f"phone,name,email,timezone,City,\n{row}\n") == [(2, *expected)]


def test_everything_that_is_wrong_with_a_row() -> None:
    assert errors("phone,email,tz,City,\n12,ann,Mars,a\x07,x\n") == [
        (2, "phoneNumber", "phoneNumber 12 must begin with a plus sign and the country code, such as +15551234567"),
        (2, "email", "email must be an e-mail address"),
        (2, "timezone", "timezone must be an IANA time zone such as America/New_York"),
        (2, "customFields.City", "customFields.City must not contain control characters"),
        (2, None, "Column 5 has a value and no title"),
    ]


def test_a_broken_quotation_mark_ends_the_reading() -> None:
    rows = ContactFile(f'phone,name\n{NUMBER},Ann\n+15551234568,"Bob\n').rows()

    assert isinstance(next(rows), GoodRow)
    with pytest.raises(Invalid, match="Row 3: a quotation mark opens a cell that never ends"):
        next(rows)


def test_no_more_rows_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_import, "MAX_ROWS", 2)

    assert len(read("phone\n1\n\n2\n\n")) == 2
    assert refusal("phone\n1\n\n2\n3\n") == "The file has more than 2 rows: import it in parts"


def test_how_much_has_been_read() -> None:
    file = ContactFile("phone\n1234\n12345\n")

    parts = [file.part_read for _ in file.rows()]

    assert parts == [11 / 17, 1.0]


# --- numbers, and what spreadsheets do to them ---


@pytest.mark.parametrize(
    "cell",
    [
        NUMBER,
        f" {NUMBER}\t",
        f"\xa0{NUMBER}\u200b",
        f"\u202a{NUMBER}\u202c",
        f"'{NUMBER}",
        f"' {NUMBER}",
        f'="{NUMBER}"',
    ],
)
def test_a_number_and_what_may_be_around_it(cell: str) -> None:
    assert read_number(cell) == NUMBER


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("", "phoneNumber is required"),
        ("'", "phoneNumber is required"),
        ('=""', "phoneNumber is required"),
        (
            "1.5551E+10",
            "phoneNumber 1.5551E+10 has lost digits in a spreadsheet: format the column as text and enter it again",
        ),
        (
            "1,55512e10",
            "phoneNumber 1,55512e10 has lost digits in a spreadsheet: format the column as text and enter it again",
        ),
        (
            "15551234567",
            "phoneNumber 15551234567 must begin with a plus sign and the country code, such as +15551234567",
        ),
        (
            "+1 (555) 123-4567",
            "phoneNumber +1 (555) 123-4567 must be written without blanks and punctuation: +15551234567",
        ),
        (
            "+49 30/12\u201134\xa056",
            "phoneNumber +49 30/12\u201134\xa056 must be written without blanks and punctuation: +4930123456",
        ),
        ("(555) 123-4567", E164),
        ("tel:+15551234567", E164),
        ("call me", E164),
        ("+١٥٥٥١٢٣٤٥٦٧", E164),
        ("+1555123", "phoneNumber +1555123 is not a possible phone number: it is too short for its country"),
        ("+19005551234", "phoneNumber +19005551234 is a premium-rate number, which is never called"),
        (
            "9" * 60,
            f"phoneNumber {'9' * 40}… must begin with a plus sign and the country code, such as +15551234567",
        ),
    ],
)
def test_a_number_that_cannot_be_called(cell: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_number(cell)

    assert refused.value.message == message
    assert errors(f'phone;x\n"{cell.replace(chr(34), chr(34) * 2)}";.\n') == [(2, "phoneNumber", message)]
