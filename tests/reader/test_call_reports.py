"""The sample service, against the sandbox GoTo: reports come, and a dead token is replaced."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from docs.examples import call_reports
from fakes import START, Bench
from sandbox.goto.issuer import Issuer
from sandbox.goto.server import create_app, running
from sandbox.goto.state import Client, Code, State, User
from sandbox.goto.switches import Switches

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PERIOD = "startTime=2026-11-23T12:00:00%2B00:00&endTime=2026-11-24T12:00:00%2B00:00"
URL = f"{call_reports.PATH}?{PERIOD}"
COLLEAGUES = [User(f"agent{number:03}@acme.example", "4000000001") for number in range(120)]


class GoTo:
    """A sandbox GoTo with a large account, and its issuer at hand."""

    def __init__(self) -> None:
        client = Client.new("client-1", "secret", ["https://acme.example/"])
        key = RSAKey.generate_key(2048, auto_kid=True)
        self.state = State(users=COLLEAGUES, clients=[client], key=key)
        self.switches = Switches()
        self.app = create_app(self.state, self.switches)
        self.issuer = Issuer(
            self.state, lambda: self.switches, lambda: datetime.now(UTC).timestamp()
        )

    def token(self, scope: str = "cr.v1.read", email: str = "admin@acme.example") -> str:
        code = Code(f"code-{scope}-{email}", "client-1", email, "https://acme.example/", scope, 9e9)
        self.state.codes[code.digest] = code
        answer: Any = self.issuer.exchange(code)
        return str(answer["access_token"])

    def revoke(self, token: str) -> None:
        found = self.issuer.look_up(token)
        assert found is not None
        self.issuer.revoke(found)

    def call(self, url: str, token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        return self.app.test_client().get(url, headers=headers)


@pytest.fixture(scope="module")
def goto() -> GoTo:
    return GoTo()


@pytest.fixture
def address(goto: GoTo) -> Iterator[str]:
    with running(goto.app) as base:
        yield base


def bench(**tokens: str) -> Bench:
    """A reader of a table with these tenants' tokens."""
    made = Bench()
    for tenant, value in tokens.items():
        made.dynamodb.put(tenant, access_token=value)
    return made


def reported(made: Bench, address: str, *tenants: str) -> tuple[int, list[str]]:
    out = io.StringIO()
    missed = call_reports.report(made.reader, address, list(tenants), NOW, out)
    return missed, out.getvalue().splitlines()


def test_every_user_of_the_account_is_reported_page_by_page(goto: GoTo, address: str) -> None:
    missed, lines = reported(bench(acme=goto.token()), address, "acme")
    assert missed == 0
    assert len(lines) == len(COLLEAGUES) + 1  # and the admin
    assert len(set(lines)) == len(lines)
    assert lines[0].startswith("acme admin ")
    assert lines[0].endswith(" calls")
    assert "owner" not in "".join(lines)  # of another account


def test_a_token_that_goto_has_revoked_is_replaced_on_the_way(goto: GoTo, address: str) -> None:
    dead, live = goto.token(), goto.token()
    goto.revoke(dead)
    made = bench(acme=dead)

    def renew(_wish: dict[str, Any]) -> dict[str, Any]:
        made.dynamodb.put("acme", version=2, access_token=live)
        return {"outcome": "refreshed", "version": 2}

    made.function.answer = renew
    missed, lines = reported(made, address, "acme")
    assert (missed, len(lines)) == (0, len(COLLEAGUES) + 1)
    assert made.function.asked == [{"tenant": "acme", "rejected_version": 1}]


def test_one_tenants_trouble_does_not_end_the_report(goto: GoTo, address: str) -> None:
    live = goto.token()
    made = bench(acme=live, narrow=goto.token("users.v1.read"))
    dead = int(START) - 1
    made.dynamodb.put("ended", status="reauthorization_required", expires_at=dead)
    made.dynamodb.put("waiting", status="degraded", expires_at=dead)
    missed, lines = reported(made, address, "gone", "ended", "waiting", "narrow", "acme")
    assert missed == 4
    assert [line.split(".")[0] for line in lines[:3]] == [
        "Put aside until a person acts",
        "Put aside until a person acts",
        "Next time",
    ]
    assert lines[3] == "narrow: GoTo's API: HTTPError"
    assert len(lines) == 4 + len(COLLEAGUES) + 1
    assert live not in "".join(lines)


def test_the_program_names_a_stage_and_its_tenants(
    goto: GoTo, address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = bench(acme=goto.token())
    stages: list[str] = []

    def make(stage: str) -> Any:
        stages.append(stage)
        return made.reader

    monkeypatch.setattr(call_reports, "TokenReader", make)
    monkeypatch.setenv("GOTO_API_URL", address)
    assert call_reports.main(["main", "acme"]) == 0
    assert stages == ["main"]
    assert len(capsys.readouterr().out.splitlines()) == len(COLLEAGUES) + 1
    assert call_reports.main(["main", "nobody"]) == 1


class TestSandboxReports:
    """GoTo's side, as the sandbox stands in for it."""

    def test_pages_hold_what_is_asked_for(self, goto: GoTo) -> None:
        token = goto.token()
        first = goto.call(f"{URL}&pageSize=50", token).get_json()
        last = goto.call(f"{URL}&pageSize=50&page=2", token).get_json()
        assert (len(first["items"]), first["total"]) == (50, 121)
        assert len(last["items"]) == 21
        values = first["items"][0]["dataValues"]
        assert values["volume"] == values["inboundVolume"] + values["outboundVolume"]

    def test_a_token_without_the_scope_is_refused(self, goto: GoTo) -> None:
        answer = goto.call(URL, goto.token("users.v1.read"))
        assert answer.status_code == 403
        assert answer.get_json()["errorCode"] == "AUTHZ_INSUFFICIENT_SCOPE"

    def test_no_token_and_a_broken_one_are_refused(self, goto: GoTo) -> None:
        assert goto.app.test_client().get(URL).status_code == 401
        assert goto.call(URL, "broken").status_code == 401

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "startTime=2026-11-24T00:00:00Z",
            "startTime=x&endTime=y",
            "startTime=2026-11-24T00:00:00Z&endTime=2026-11-23T00:00:00Z",
            "startTime=2026-11-23T00:00:00Z&endTime=2026-11-24T00:00:00",
            f"{PERIOD}&page=-1",
            f"{PERIOD}&pageSize=0",
            f"{PERIOD}&pageSize=101",
        ],
    )
    def test_parameters_that_make_no_sense_are_refused(self, goto: GoTo, query: str) -> None:
        answer = goto.call(f"{call_reports.PATH}?{query}", goto.token())
        assert answer.status_code == 400
        assert answer.get_json()["errorCode"] == "INVALID_PARAMETER"
