"""What a model or a callee says is kept as every database can take it."""

from __future__ import annotations

import json

import pytest

from schema.rules.calls import storable


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Fine 😀", "Fine 😀"),
        ("nul\0", "nul\ufffd"),
        ("half \ud83d", "half \ufffd"),
        ("\ud83d\ude00", "😀"),
        ({"a\0": ["b\ud83d", 1, None]}, {"a\ufffd": ["b\ufffd", 1, None]}),
    ],
)
def test_no_nul_and_no_half_of_a_character(said: object, kept: object) -> None:
    assert storable(said) == kept
    assert json.dumps(storable(said), ensure_ascii=False).encode()
