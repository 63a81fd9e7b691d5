"""S32: what the rep's program proves, to the service itself."""

import json
import re
import time
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from chalicelib.rep import commands
from cli.service import Service
from tests.rep.program import SECRET, Run, add, is_one_sentence
from tests.support.aws import REGION
from tests.support.sts import ANN, Sts, signing_at
from tests.support.world import World


def test_s32_the_journal_names_who_has_proved_it(world: World, run: Run) -> None:
    """S32: by the program's own way, with every signature recomputed."""
    add(run)
    [entry] = world.journal.newest("acme", 1)
    assert (entry.who, entry.reference) == ("user/ann", "a-number")
    assert run("tenant", "remove", "acme", "--yes").code == 0


def test_s32_what_was_sent_serves_no_second_time(
    world: World, run: Run, wire: list[dict[str, Any]]
) -> None:
    """S32: neither as it is, nor for another command or tenant."""
    for name in ("acme", "beta"):
        add(run, name)
    assert run("link", "revoke", "acme", "--yes").code == 0
    before = world.everything()
    [sent] = [payload for payload in wire if payload["command"] == "link_revoke"]
    for changed in ({}, {"command": "tenant_remove"}, {"tenant": "beta"}):
        answer = Service("main")._invoke({**sent, **changed})
        assert (answer["ok"], answer["kind"]) == (False, "caller_refused")
    assert world.everything() == before


def test_s32_an_identity_that_aws_does_not_know_changes_nothing(
    world: World, run: Run, sts: Sts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S32"""
    add(run)
    before = world.everything()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-guess")
    ran = run("tenant", "remove", "acme", "--yes")
    is_one_sentence(ran, 2)
    assert "does not confirm who you are" in ran.err
    assert world.everything() == before


@pytest.mark.parametrize("apart", [-90, 90])
def test_s32_a_clock_that_is_off_is_told_by_how_much(run: Run, apart: int) -> None:
    """S32: in place of a riddle; by `doctor` too."""
    with signing_at(time.time() + apart):
        ran = run("tenant", "remove", "acme", "--yes")
        told = run("doctor").out
    is_one_sentence(ran, 2)
    assert re.search(r"signed (89|90|91) s from now by our clock", ran.err)
    assert re.search(r"FAILED +rep_command", told)
    assert "by our clock" in " ".join(told.split())


def test_s32_another_stage_refuses_it(run: Run) -> None:
    """S32: the function's name is signed."""
    is_one_sentence(run("status", "--stage", "test"), 2)


def test_s32_the_programs_every_command_is_proved(run: Run, wire: list[dict[str, Any]]) -> None:
    """S32: also those that go without, so that the journal names who it was."""
    add(run)
    run("tenant", "list")
    run("status")
    assert all("proof" in payload for payload in wire)
    assert {payload["command"] for payload in wire} <= set(commands._COMMANDS)


def test_s20_a_proof_holds_no_secret(wire: list[dict[str, Any]], run: Run) -> None:
    """S20: nor does it tell of one in the payload, which it only hashes."""
    add(run)
    run("credentials", "set", "acme", stdin=f"id-acme\n{SECRET}\n")
    proofs = json.dumps([payload["proof"] for payload in wire])
    assert SECRET not in proofs
    assert ANN.secret not in proofs


def test_a_session_proves_itself_with_its_token() -> None:
    """As a role or the directory gives it."""
    session = boto3.Session("KEY", "secret", "the-token", region_name=REGION)
    assert Service("main", session)._proof({"command": "status"})["session_token"] == "the-token"
    alone = boto3.Session("KEY", "secret", region_name=REGION)
    assert "session_token" not in Service("main", alone)._proof({"command": "status"})


def test_the_proof_is_for_the_sts_that_the_service_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The region's own, whatever the rep's machine would ask itself: the host is signed."""
    hosts = []

    def sign(_self: object, request: Any) -> None:
        hosts.append(request.url)
        request.url += "&X-Amz-Date=a&X-Amz-Signature=b"

    monkeypatch.setattr("cli.proof.SigV4QueryAuth.add_auth", sign)
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    Service("prod")._proof({"command": "status"})
    assert [urlsplit(url).hostname for url in hosts] == ["sts.us-west-2.amazonaws.com"]
