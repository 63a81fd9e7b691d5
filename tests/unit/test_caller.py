"""Who calls a rep's command is what AWS says of a proof, and nothing that the caller says."""

from contextlib import nullcontext
from typing import Any

import pytest

from chalicelib.caller import LONGEST_PROOF, STAGE_HEADER, Callers
from chalicelib.errors import CallerRefused, DependencyUnavailable, ProviderUnreachable
from chalicelib.oauth import Answer
from chalicelib.outbound import Outbound
from chalicelib.times import CALLER_DEADLINE, CALLER_PROOF_LIFE

SIGNED_AT = 1_780_000_000
"""Epoch seconds."""

ACCOUNT = "123456789012"
STS = "https://sts.eu-central-1.amazonaws.com/"
PROOF = (
    "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60&X-Amz-Date=20260528T202640Z"
    f"&X-Amz-SignedHeaders=host%3B{STAGE_HEADER}&X-Amz-Signature=0123abcd"
)
NAMED = f"<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/Reps/ann@hireanalytix.example</Arn>"


class Sts(Outbound):
    """Answers as it is told to, and keeps what it was asked."""

    def __init__(self, status: int = 200, body: str = NAMED, fails: bool = False) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._status, self._body, self._fails = status, body, fails

    def send(self, *asked: Any) -> Answer:
        self.asked.append(asked)
        if self._fails:
            raise ProviderUnreachable("no connection in time", sent=False)
        return Answer(self._status, self._body.encode())


def callers(sts: Sts, late: float = 1) -> Callers:
    return Callers(STS, "prod", sts, lambda: SIGNED_AT + late)


def test_a_proof_is_shown_to_sts_alone_for_this_stage_alone() -> None:
    sts = Sts()
    caller = callers(sts).identify({"proof": PROOF, "by": "somebody else"}, "number", ACCOUNT)
    assert caller == ("assumed-role/Reps/ann@hireanalytix.example", "number")
    assert sts.asked == [("GET", f"{STS}?{PROOF}", {STAGE_HEADER: "prod"}, CALLER_DEADLINE)]


@pytest.mark.parametrize(
    ("claim", "named"),
    [
        ("ann@laptop", "ann@laptop (not verified)"),
        ("ann\nverified: root", "somebody (not verified)"),
        ("a" * 81, "somebody (not verified)"),
        (7, "somebody (not verified)"),
        (None, "somebody (not verified)"),
    ],
)
def test_who_proves_nothing_is_named_so(claim: object, named: str) -> None:
    sts = Sts()
    assert callers(sts).identify({"by": claim}, "number", ACCOUNT).who == named
    assert sts.asked == []


@pytest.mark.parametrize(
    "proof",
    [
        PROOF.replace("GetCallerIdentity", "GetSessionToken"),
        PROOF + "&Action=GetSessionToken",
        PROOF.replace(STAGE_HEADER, "x-other"),
        PROOF + "#@other.example/",
        PROOF + "\r\nHost: other.example",
        PROOF + "&x=" + "a" * LONGEST_PROOF,
        PROOF.replace("X-Amz-Date", "X-Amz-Other"),
        PROOF + "&X-Amz-Date=20990101T000000Z",
        PROOF.replace("20260528T202640Z", "yesterday"),
        "",
        7,
    ],
    ids=[
        "another question",
        "two questions",
        "no stage",
        "fragment",
        "header",
        "long",
        "no time",
        "two times",
        "no such time",
        "empty",
        "n",
    ],
)
def test_a_proof_of_anything_else_never_leaves(proof: object) -> None:
    sts = Sts()
    with pytest.raises(CallerRefused):
        callers(sts).identify({"proof": proof}, "number", ACCOUNT)
    assert sts.asked == []


@pytest.mark.parametrize(
    ("late", "taken"),
    [
        (-CALLER_PROOF_LIFE - 1, False),
        (-CALLER_PROOF_LIFE, True),
        (CALLER_PROOF_LIFE, True),
        (CALLER_PROOF_LIFE + 1, False),
    ],
)
def test_a_proof_that_was_kept_serves_for_minutes(late: float, taken: bool) -> None:
    """STS itself takes it for a quarter of an hour."""
    sts = Sts()
    with nullcontext() if taken else pytest.raises(CallerRefused):
        callers(sts, late).identify({"proof": PROOF}, "number", ACCOUNT)
    assert bool(sts.asked) is taken


def test_the_same_name_in_another_account_is_another_name() -> None:
    """Whoever may call us can sign as a role of that name in an account of their own."""
    told = callers(Sts(200, NAMED.replace(ACCOUNT, "666666666666"))).identify(
        {"proof": PROOF}, "number", ACCOUNT
    )
    assert told.who == "assumed-role/Reps/ann@hireanalytix.example (account 666666666666)"


@pytest.mark.parametrize(
    "sts",
    [
        Sts(403, NAMED),
        Sts(307, NAMED),
        Sts(200, "<Arn>anything</Arn>"),
        Sts(200, "<Arn>arn:aws:iam::123456789012:user/<b></Arn>"),
    ],
    ids=["refused", "redirected", "no arn", "markup"],
)
def test_what_sts_does_not_confirm_is_refused(sts: Sts) -> None:
    with pytest.raises(CallerRefused):
        callers(sts).identify({"proof": PROOF}, "number", ACCOUNT)


@pytest.mark.parametrize(
    ("sts", "code"), [(Sts(503), "503"), (Sts(fails=True), "no connection in time")]
)
def test_sts_down_is_a_dependency_and_quotes_no_proof(sts: Sts, code: str) -> None:
    """S20"""
    with pytest.raises(DependencyUnavailable) as refused:
        callers(sts).identify({"proof": PROOF}, "number", ACCOUNT)
    assert str(refused.value) == f"sts: {code}"
