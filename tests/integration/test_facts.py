"""`ha-goto facts`: each line agrees with the sandbox as it is; a switch makes its line differ."""

import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

from chalicelib import config
from chalicelib.goto.client import GoTo as Client
from chalicelib.goto.http import Outbound
from chalicelib.models import ClientCredentials
from chalicelib.refresh.facts import NOT_ASKED, REQUESTS, Facts
from tests.sandbox.client import SECRET, GoTo, parsed
from tests.support.aws import environment

SCOPE = "identity: users.v1.read cr.v1.read"


@pytest.fixture(scope="module")
def key() -> RSAKey:
    return RSAKey.generate_key(2048, auto_kid=True)


@pytest.fixture
def sandbox(key: RSAKey) -> Iterator[GoTo]:
    """The sandbox's GoTo on a port of this machine."""
    goto = GoTo(key)
    goto.state.tick_boxes("client-1", SCOPE)
    server = make_server("127.0.0.1", 0, goto.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    goto.address = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    yield goto
    server.shutdown()
    server.server_close()


class Limiter:
    """Lets so many through."""

    def __init__(self, left: int = 9) -> None:
        self.left = left

    def acquire(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def slow_down(self) -> None: ...


def facts(
    sandbox: GoTo, tokens: dict[str, Any] | None, limiter: Limiter | None = None
) -> dict[str, Any] | None:
    """Of a tenant that connected with these tokens, at a good ticket."""
    address = sandbox.address  # type: ignore[attr-defined]
    settings = config.load(
        environment(
            {f"{name}_TABLE": name for name in TABLES},
            GOTO_AUTHORIZE_URL=f"{address}/oauth/authorize",
            GOTO_TOKEN_URL=f"{address}/oauth/token",
            GOTO_API_URL=address,
            GOTO_ADMIN_URL=address,
            GOTO_SCOPE=SCOPE,
        )
    )
    connection = tokens and SimpleNamespace(
        access_token=tokens["access_token"],
        scope=tokens.get("scope"),
        refreshed_at=0,
        expires_at=int(tokens["expires_in"]),
        account_key=None,
    )
    connections: Any = SimpleNamespace(
        get=lambda _tenant: connection,
        grant_summary=lambda _tenant: SimpleNamespace(secret_version="v"),
    )
    store: Any = SimpleNamespace(credentials=lambda *_: ClientCredentials("client-1", SECRET))
    tickets: Any = SimpleNamespace(spend=lambda *_: True)
    found = Facts(
        tickets=tickets,
        connections=connections,
        secret_store=store,
        goto=Client(settings, Outbound(1)),
        limiter=limiter or Limiter(),
        scope=SCOPE,
        clock=lambda: 0.0,
    )
    return found.of("acme", "a-ticket")


TABLES = ("TOKENS", "TENANTS", "LINKS", "AUTHORIZATION_REQUESTS", "GRANTS", "JOURNAL", "FLEET")


def connect(sandbox: GoTo) -> dict[str, Any]:
    """Tokens of an admin who allowed all that was asked for."""
    return parsed(sandbox.exchange(sandbox.code(scope=SCOPE)))


def seen(sandbox: GoTo, tokens: dict[str, Any]) -> dict[str, dict[str, Any]]:
    answer = facts(sandbox, tokens)
    assert answer is not None
    assert answer["outcome"] == "asked"
    return {fact["name"]: fact for fact in answer["facts"]}


def test_every_line_agrees_with_the_sandbox_as_it_stands(sandbox: GoTo) -> None:
    found = seen(sandbox, connect(sandbox))
    assert [name for name, fact in found.items() if fact["agrees"] is False] == []
    silent = {name for name, fact in found.items() if fact["agrees"] is None}
    several = {"order of several accounts", "names of several accounts"}
    assert silent == {name for name, _ in NOT_ASKED} | several
    assert len(found) == 17


@pytest.mark.parametrize(
    ("switches", "differing"),
    [
        ({"access_token_lifetime": 600}, "life of an access token"),
        ({"told_lifetime": 60}, "life of an access token"),
        ({"account_readable": False}, "accounts of the person"),
        ({"refusal_form": "upper_case"}, "a refresh token that nobody has"),
        ({"refusal_form": "other_words"}, "a refresh token that nobody has"),
        ({"refuse_good": "invalid_client"}, "a refresh token that nobody has"),
    ],
)
def test_a_switch_makes_its_line_differ(
    sandbox: GoTo, switches: dict[str, Any], differing: str
) -> None:
    if "refuse_good" in switches or "refusal_form" in switches:
        tokens = connect(sandbox)
        sandbox.turn(**switches)
    else:
        sandbox.turn(**switches)
        tokens = connect(sandbox)
    found = seen(sandbox, tokens)
    assert found[differing]["agrees"] is False, found[differing]


def test_s20_no_secret_and_no_account_is_in_it(sandbox: GoTo) -> None:
    """S20: it is printed, and sent as JSON."""
    tokens = connect(sandbox)
    text = json.dumps(facts(sandbox, tokens))
    for secret in (tokens["access_token"], tokens["refresh_token"], SECRET, "admin@acme.example"):
        assert secret not in text
    accounts = json.loads(sandbox.call(tokens["access_token"]).data)["items"]
    assert all(account["accountKey"] not in text for account in accounts)


def test_nothing_is_asked_without_a_connection_or_beyond_the_share(sandbox: GoTo) -> None:
    assert facts(sandbox, None) == {"outcome": "not_connected", "facts": []}
    answer = facts(sandbox, connect(sandbox), Limiter(0))
    assert answer == {"outcome": "later", "facts": []}


def test_a_connection_goes_on_after_it(sandbox: GoTo) -> None:
    """Harmless: the refresh token and the access token are as good as before."""
    tokens = connect(sandbox)
    seen(sandbox, tokens)
    assert sandbox.refresh(tokens["refresh_token"]).status_code == 200
    assert sandbox.call(tokens["access_token"]).status_code == 200


@pytest.mark.parametrize("switches", [{}, {"account_readable": False}], ids=["all", "no account"])
def test_s21_no_more_is_sent_than_slots_are_taken_for(
    sandbox: GoTo, monkeypatch: pytest.MonkeyPatch, switches: dict[str, Any]
) -> None:
    sent: list[str] = []
    send = Outbound.send

    def counted(self: Outbound, method: str, url: str, *rest: Any) -> Any:
        sent.append(url)
        return send(self, method, url, *rest)

    monkeypatch.setattr(Outbound, "send", counted)
    sandbox.turn(**switches)
    seen(sandbox, connect(sandbox))
    assert REQUESTS - 3 <= len(sent) <= REQUESTS
