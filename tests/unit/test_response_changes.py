"""A new form of GoTo's answers is told once, by names alone; what is known is told never."""

import json
from typing import Any

import pytest

from chalicelib.goto.oauth import Answer
from chalicelib.journal_entries import Kind
from chalicelib.models import PROVIDER
from chalicelib.refresh.response_changes import ResponseChanges, WatchedGoTo, forms
from tests.support.world import World

KNOWN: dict[str, Any] = {
    "access_token": "canary-access",
    "refresh_token": "canary-refresh",
    "token_type": "Bearer",
    "expires_in": 3600,
    "scope": "a b",
    "principal": "canary@acme.example",
    "loa": 3,
}


def answer(status: int = 200, notices: tuple[str, ...] = (), **body: Any) -> Answer:
    return Answer(status, json.dumps(body).encode(), notices=notices)


@pytest.mark.parametrize(
    ("met", "told"),
    [
        (answer(**KNOWN), ["a life of about 60 minutes"]),
        (
            answer(**KNOWN | {"refresh_token_expires_in": 9}),
            ["the member refresh_token_expires_in"],
        ),
        (answer(201, **KNOWN), ["tokens with status 201"]),
        (answer(**KNOWN, notices=("Sunset",)), ["the header Sunset"]),
        (answer(400, error="invalid_grant"), []),
        (answer(400, error="slow_down"), ["the error 400 slow_down"]),
        (answer(403, error="invalid_client"), ["the error 403 invalid_client"]),
        (answer(503, error="busy"), []),
        (Answer(200, b"<html>"), []),
        (Answer(429, b""), []),
    ],
)
def test_a_form_is_told_by_names_alone(met: Answer, told: list[str]) -> None:
    found = [form for form in forms(met) if told or form]
    assert [form for form in found if form in told] == told
    assert "canary" not in str(found)


def test_what_is_new_is_told_once_and_the_first_life_is_learnt(world: World) -> None:
    def met(*answers: Answer) -> list[str]:
        watch = ResponseChanges(
            provider=world.deployment.provider, clock=world.clock, report=world.reported.append
        )
        world.goto.script = list(answers)
        goto = WatchedGoTo(world.goto, watch.met)
        for _ in answers:
            goto.token(world.goto.clients[0] if world.goto.clients else CLIENT, {})
        watch.tell()
        rows = world.deployment.journal.newest(PROVIDER, 10)
        return [row.text for row in rows if row.kind == Kind.ANSWERS_CHANGED]

    assert met(answer(**KNOWN)) == []
    assert met(answer(**KNOWN), answer(400, error="invalid_grant")) == []
    first = met(answer(**KNOWN | {"expires_in": 600, "region": "eu"}))
    assert first == [
        "The format of GoTo's answers has changed: a life of about 10 minutes; the member region."
    ]
    assert met(answer(**KNOWN | {"expires_in": 600, "region": "us"})) == first
    assert world.reported == []


CLIENT: Any = None
