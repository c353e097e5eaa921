"""What a new password must be."""

from __future__ import annotations

import pytest

from schema.errors import Invalid
from schema.rules import passwords

KIM = "kim.longname@example.com"


def refusal(new: str, *, old: str = "what it was before") -> str | None:
    try:
        passwords.check_new(new, email=KIM, old=old)
    except Invalid as error:
        return error.message
    return None


@pytest.mark.parametrize("new", ["x1x2x3x4x5x6", "correct horse battery", "ö" * 12, " " * 3 + "abcdefghi", "y" * 200])
def test_a_good_one(new: str) -> None:
    assert refusal(new) is None


@pytest.mark.parametrize("new", ["", "elevenchars", "z" * 201, "ﬃ" * 67])
def test_too_short_or_too_long(new: str) -> None:
    """Counted as it is hashed: one ligature is three letters."""
    assert refusal(new) == "newPassword must be between 12 and 200 characters"


@pytest.mark.parametrize(("new", "old"), [("\u0301\u0316" * 401, "x"), ("a sentence of mine", "\u0301\u0316" * 401)])
def test_what_no_password_can_be_is_not_normalised(monkeypatch: pytest.MonkeyPatch, new: str, old: str) -> None:
    """It takes the square of its length, and all threads wait."""
    normalised: list[str] = []
    normal = passwords.normal
    monkeypatch.setattr(passwords, "normal", lambda text: normalised.append(text) or normal(text))

    refusal(new, old=old)

    assert max(map(len, normalised), default=0) <= passwords.LONGEST_TYPED


def test_the_longest_may_be_typed_in_four_characters_for_each() -> None:
    new = "\u03b1\u0313\u0300\u0345" * passwords.LONGEST

    assert refusal(new) is None
    assert len(new) == passwords.LONGEST_TYPED
    assert refusal(new + "x") == "newPassword must be between 12 and 200 characters"


@pytest.mark.parametrize("new", ["what it was before", "\uff57hat it was before"])
def test_the_old_one(new: str) -> None:
    """The second begins with a wide w, which is hashed like an ordinary one."""
    assert refusal(new) == "newPassword must be another one than the current one"


@pytest.mark.parametrize("new", [KIM, KIM.upper(), f" {KIM} "])
def test_the_address(new: str) -> None:
    assert refusal(new) == "newPassword must not be your e-mail address"


@pytest.mark.parametrize("new", ["password1234", "PassWord1234", " qwerty123456", "111111111111"])
def test_one_of_the_commonest(new: str) -> None:
    assert refusal(new) == "newPassword is among the commonest passwords: choose one that nobody else has"


def test_the_list_holds_nothing_that_is_refused_anyway() -> None:
    assert [each for each in passwords.COMMON if len(each) < passwords.SHORTEST or each != each.casefold()] == []


def test_one_time_passwords_are_long_and_differ() -> None:
    made = {passwords.new_one_time() for _ in range(100)}

    assert len(made) == 100
    assert {len(each) for each in made} == {20}
