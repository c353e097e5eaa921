"""The errors of the domain: each carries the sentence its caller should read, none knows of HTTP.

```
DomainError
├── Invalid          bad input, or a move that the rules do not allow
├── Unauthenticated  no credentials, or credentials that are not good
├── Forbidden        good credentials that do not reach this far
├── NotFound         no such row in this workspace
├── LimitReached     the plan's limit (decision E3: never a validation error)
└── RateLimited      too many requests; `retry_after_s` says when to come back
```
"""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """The seven codes of `rest-api.md`, *Error Handling*; there are no others (decision E2)."""

    BAD_REQUEST = "BAD_REQUEST"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    LIMIT_REACHED = "LIMIT_REACHED"
    RATE_LIMITED = "RATE_LIMITED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class DomainError(Exception):
    """Something the caller did, said in a sentence for the caller (decision E4)."""

    code: ErrorCode = ErrorCode.BAD_REQUEST

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Invalid(DomainError):
    """Input that breaks a rule, or a status change that is not allowed."""


class Unauthenticated(DomainError):
    """Missing, unknown, expired or revoked credentials: all the same to the caller."""

    code = ErrorCode.UNAUTHORIZED


class Forbidden(DomainError):
    """The credentials are good but do not reach this far."""

    code = ErrorCode.FORBIDDEN


class NotFound(DomainError):
    """The row does not exist, or belongs to somebody else (decision R5: the same answer)."""

    code = ErrorCode.NOT_FOUND


class LimitReached(DomainError):
    """The workspace's plan does not allow one more."""

    code = ErrorCode.LIMIT_REACHED


class RateLimited(DomainError):
    """Too many requests in this window; a request sent after `retry_after_s` seconds succeeds."""

    code = ErrorCode.RATE_LIMITED

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
