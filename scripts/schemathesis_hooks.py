"""What schemathesis loads: every request from an address of its own, and a count of what was answered."""

import atexit
import collections
import itertools
import json
import os
import re
import threading

import requests
import schemathesis

_answers = collections.Counter()
_lock = threading.Lock()
_numbers = itertools.count()
_plain_send = requests.Session.send


def _send(session, request, **options):
    """Failed authentications are counted by address; schemathesis tries many, and each is to be answered 401.

    A good idempotency key is sent only once: an answer that is given again would pass for a new resource.
    """
    number = next(_numbers)
    key = request.headers.get("Idempotency-Key", "")
    if isinstance(key, str) and re.fullmatch("[!-~]{1,255}", key):
        request.headers["Idempotency-Key"] = ("%d-%s" % (number, key))[:255]
    request.headers["X-Forwarded-For"] = "10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)
    return _plain_send(session, request, **options)


def outcome(response):
    """Under what an answer is counted."""
    return response.status_code


if os.environ.get("ADDRESSES"):
    requests.Session.send = _send


@schemathesis.hook
def after_call(context, case, response):  # noqa: ARG001 (schemathesis knows them by name)
    """Count the answer. A method that was only tried counts for the operation it was tried on."""
    tried = "" if case.method.upper() == case.operation.method.upper() else " (other methods)"
    with _lock:
        _answers[case.operation.label + tried, outcome(response)] += 1


@atexit.register
def _write():
    rows = [[label, status, count] for (label, status), count in sorted(_answers.items())]
    with open(os.environ["ANSWERS"], "w") as file:
        json.dump(rows, file)
