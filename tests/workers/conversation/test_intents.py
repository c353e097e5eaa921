from __future__ import annotations

import pytest

from workers.conversation.intents import Intent, callback_when, detect, opts_out


@pytest.mark.parametrize(
    "text",
    [
        "Please do not call me again. Take me off your list.",
        "Don't call me.",
        "don’t call me any more",
        "Never call this number again!",
        "Stop calling me.",
        "Would you please stop calling!",
        "Remove my number from your database.",
        "Take us off your calling list, please",
        "Put me on your do-not-call list.",
        "Lose my number.",
        "I want to opt out.",
        "Please do not contact us again",
        "No me llamen más, por favor.",
        "Rufen Sie mich bitte nicht mehr an!",
        "Ich möchte nicht mehr angerufen werden.",
        "Ne m'appelez plus.",
        "Bel me niet meer",
    ],
)
def test_a_request_not_to_be_called_again(text):
    assert opts_out(text)


@pytest.mark.parametrize(
    "text",
    [
        "Don't call me at work, call me at home.",
        "Please don't call me before noon.",
        "Why don't you call me tomorrow?",
        "If you don't call me, I will call you.",
        "Could you call me again tomorrow?",
        "I never call people back.",
        "I don't have time right now.",
        "No thank you, I'm not interested.",
        "I will stop by the office.",
        "Do not worry, call me any time.",
        "Put me on your list, please.",
        "",
    ],
)
def test_no_request_not_to_be_called_again(text):
    assert not opts_out(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("That sounds interesting. When could we talk about it?", {Intent.INTERESTED, Intent.QUESTION}),
        ("I am interested.", {Intent.INTERESTED}),
        ("I'm not really interested.", {Intent.NOT_INTERESTED}),
        ("We aren't interested", {Intent.NOT_INTERESTED}),
        ("No, thanks.", {Intent.NOT_INTERESTED, Intent.NO}),
        ("Could you call me back tomorrow afternoon?", {Intent.CALLBACK, Intent.QUESTION}),
        ("I'm driving.", {Intent.CALLBACK}),
        ("This is a bad time.", {Intent.CALLBACK}),
        ("This is ridiculous.", {Intent.ANGRY}),
        ("Please say your name and why you are calling.", {Intent.SCREENING}),
        ("Please leave a message after the tone.", {Intent.VOICEMAIL}),
        ("I think you have the wrong number.", {Intent.WRONG_NUMBER}),
        ("Send me an email, please.", {Intent.SEND_INFORMATION}),
        ("Who is this?", {Intent.WHO, Intent.QUESTION}),
        ("Yes, that works for me. Please book it.", {Intent.YES}),
        ("No, that is all. Thank you.", {Intent.NO, Intent.DONE}),
        ("Goodbye.", {Intent.GOODBYE}),
        ("Take me off your list. I would love that.", {Intent.DO_NOT_CALL}),
        ("The weather is fine.", set()),
    ],
)
def test_intents(text, expected):
    assert detect(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Could you call me back tomorrow afternoon?", "tomorrow afternoon"),
        ("Try me next week.", "next week"),
        ("Call me on Monday morning", "on monday morning"),
        ("Call me in an hour", "in an hour"),
        ("Call me back.", None),
    ],
)
def test_when_to_call_back(text, expected):
    assert callback_when(text) == expected
