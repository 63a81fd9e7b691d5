"""What stands in for the world outside: a clock, GoTo, the rescue queue."""

import itertools
import json
import zlib
from collections.abc import Callable
from typing import Any

from chalicelib import opaque
from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.models import ClientCredentials, Revocation
from chalicelib.permissions import SCOPE_READ, GoToAccount, Usable
from chalicelib.tokens.rescue import Rescued
from tests.support.recorder import acting_as

START = 1_800_000_000.0


class Clock:
    """Epoch seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


Scripted = Answer | ProviderUnreachable | Callable[[], object]


ACCOUNT = "4000000001"


def account_of(client_id: str) -> str:
    """Each customer has a GoTo account of its own, and so has each client `id-NAME`."""
    own = client_id.startswith("id-") and client_id != "id-acme"
    return str(5_000_000_000 + zlib.crc32(client_id.encode())) if own else ACCOUNT


class ObedientGoTo:
    """Answers token requests with numbered tokens, or with what the test scripted."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.clients: list[ClientCredentials] = []
        self.revoked: list[str] = []
        self.revokers: list[ClientCredentials] = []
        self.revocation = Revocation.DONE
        self.script: list[Scripted] = []
        self.account_key: str | None = ACCOUNT
        self.listed: tuple[GoToAccount, ...] | None = None
        self.account_readers: list[str] = []
        self.usable = Usable.YES
        self.scope = SCOPE_READ
        self.reads: list[str | None] = []
        self.authorize_answer = Answer(302, b"")
        self.lifetime = 3600
        self.rotates = False
        self._numbers = itertools.count(1)

    def answer_by(self, token: Callable[[ClientCredentials, dict[str, str]], Answer]) -> None:
        """From now on `token` answers the token requests."""
        vars(self).update(token=token)

    def token(self, client: ClientCredentials, form: dict[str, str]) -> Answer:
        self.asked.append(form)
        self.clients.append(client)
        if opaque.well_formed(form.get("refresh_token")) and not self.script:
            return refusal(400, "invalid_grant")  # a made-up one, to check a client with
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, ProviderUnreachable):
                raise step
            with acting_as(None):  # what happens meanwhile is not the asking function's doing
                answer = step() if callable(step) else step
            if isinstance(answer, Answer):
                return answer
        return self.tokens(refresh=self.rotates or form["grant_type"] == "authorization_code")

    def tokens(self, *, refresh: bool, **changed: Any) -> Answer:
        number = next(self._numbers)
        body = {
            "access_token": f"access-{number}",
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "scope": self.scope,
            "principal": "admin@acme.example",
        }
        if refresh:
            body["refresh_token"] = f"refresh-{number}"
        return Answer(200, json.dumps(body | changed).encode())

    def revoke(self, client: ClientCredentials, token: str) -> Revocation:
        self.revoked.append(token)
        self.revokers.append(client)
        return self.revocation

    def accounts(self, access_token: str) -> tuple[GoToAccount, ...] | None:
        """``account_key`` is the one account that most tests need; ``listed`` are several."""
        self.account_readers.append(access_token)
        if self.listed is not None:
            return self.listed
        if self.account_key != ACCOUNT:
            return None if self.account_key is None else (GoToAccount(self.account_key),)
        return (GoToAccount(account_of(self.clients[-1].client_id)),)

    def read_calls(self, access_token: str, account: str | None) -> Usable:
        self.reads.append(account)
        return self.usable

    def authorize(self, client_id: str, redirect_uri: str) -> Answer:
        return self.authorize_answer


def refusal(status: int, error: str, description: str = "") -> Answer:
    """An OAuth error answer."""
    return Answer(status, json.dumps({"error": error, "error_description": description}).encode())


class RescueBox:
    """The rescue queue in the small. ``down``: SQS takes and tells nothing."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.delays: list[int] = []
        self.down = False

    def send(self, message: str, delay: int = 0) -> None:
        self._work()
        self.messages.append(message)
        self.delays.append(delay)

    def pending(self) -> int:
        self._work()
        return len(self.messages)

    def deliver(self, commit: Callable[[str], Rescued]) -> Rescued:
        """Hand the oldest message over; it leaves the queue only when that succeeds."""
        outcome = commit(self.messages[0])
        del self.messages[0]
        return outcome

    def _work(self) -> None:
        if self.down:
            raise DependencyUnavailable("sqs", "ServiceUnavailable")
