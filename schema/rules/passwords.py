"""Passwords: what a new one must be, and how one is made for somebody (decision 0011)."""

from __future__ import annotations

import secrets
import unicodedata

from schema.errors import Invalid

SHORTEST = 12
LONGEST = 200
LONGEST_TYPED = 4 * LONGEST
"""Before `normal`, which makes at most four characters one: what is longer has too many afterwards, too."""

COMMON = frozenset(
    """
    000000000000 111111111111 112233445566 121212121212 123123123123 123321123321 1234512345123
    123456123456 123456654321 123456789012 1234567890123 123456789abc 123456789qwe 123456789123 123456abcdef
    123456qwerty 123qweasdzxc 1q2w3e4r5t6y 1q2w3e4r5t6y7u 1qaz2wsx3edc 1qaz1qaz1qaz 987654321012 aaaaaaaaaaaa
    abc123abc123 abc123456789 abcd12345678 abcdefghijkl abcdefghijklm adminadminadmin administrator admin1234567
    asdfasdfasdf asdfghjkl123 changemechangeme changeme1234 changemenow1 christopher1 correcthorsebatterystaple
    dragondragon football1234 iloveyou1234 iloveyouiloveyou letmein12345 letmeinletmein monkeymonkey
    mypassword123 p@ssw0rd1234 p@ssword1234 passw0rd1234 password1234 password12345 password123456 password123!
    password2024 password2025 password2026 passwordpassword princess1234 q1w2e3r4t5y6 qazwsxedcrfv qazwsxedc123
    qweasdzxc123 qwerty123456 qwerty1234567 qwertyqwerty qwertyuiop123 qwertyuiop12 qwertyuiop[] qwertyuiopasdf
    secretsecret sunshine1234 superman1234 trustno1trustno1 voxforge1234 voxforgevoxforge welcome12345
    welcomewelcome zaq12wsxcde3 zxcvbnm12345 zxcvbnmasdfgh
    """.split()  # noqa: SIM905 (words are read more easily than a list of strings)
)
"""The commonest that are long enough, in lower case: the first of their length in the United Kingdom's NCSC list of the
100,000 most used passwords, what is counted, repeated or typed along the rows of a keyboard, and our own name."""


def can_be_one(password: str) -> bool:
    """Whether it is short enough to be anybody's password, asked before `normal`."""
    return len(password) <= LONGEST_TYPED


def normal(password: str) -> str:
    """What is hashed: one form of each character, because keyboards do not agree on one (NIST SP 800-63B, 5.1.1.2).

    Only of what `can_be_one`: it takes the square of the length, and no other thread runs meanwhile.
    """
    return unicodedata.normalize("NFKC", password)


def check_new(password: str, *, email: str, old: str) -> None:
    """Raises Invalid for a new password that is too short or too long, easy to guess, or no other than the old one."""
    if not can_be_one(password) or not SHORTEST <= len(clean := normal(password)) <= LONGEST:
        raise Invalid(f"newPassword must be between {SHORTEST} and {LONGEST} characters")
    if can_be_one(old) and clean == normal(old):
        raise Invalid("newPassword must be another one than the current one")
    if clean.strip().casefold() == email.casefold():
        raise Invalid("newPassword must not be your e-mail address")
    if clean.strip().casefold() in COMMON:
        raise Invalid("newPassword is among the commonest passwords: choose one that nobody else has")


def new_one_time() -> str:
    """A password of 120 random bits, to sign in with until another is chosen."""
    return secrets.token_urlsafe(15)
