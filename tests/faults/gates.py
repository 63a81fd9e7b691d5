"""Tables, GoTo and the rescue queue behind the gates at which the adversary stops a worker."""

import itertools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from botocore.exceptions import ReadTimeoutError as NoAnswer

from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.model import Revocation
from chalicelib.oauth import Answer, ClientCredentials
from sandbox.goto import rules
from sandbox.goto.switches import Switches
from tests.support.memory import MemoryDynamoDB

if TYPE_CHECKING:
    from tests.faults.adversary import Adversary


class GatedClient:
    """The tables, behind the gate."""

    def __init__(self, client: MemoryDynamoDB, adversary: "Adversary") -> None:
        self._client = client
        self._adversary = adversary

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            how = self._adversary.gate(operation)
            if how == "refuse":
                raise ClientError({"Error": {"Code": "ThrottlingException"}}, operation)
            answer = getattr(self._client, operation)(**arguments)
            if how == "lose":
                raise NoAnswer(endpoint_url="dynamodb")
            return answer

        return call


class GatedGoTo:
    """GoTo by its rules, behind the gate. Each access token has a life of its own length, so that
    a token beside another's expiry is seen."""

    def __init__(self, adversary: "Adversary", switches: Switches) -> None:
        self._adversary = adversary
        self._switches = switches
        self.grants: dict[str, rules.Grant] = {}
        self.lives: dict[str, int] = {}
        self.owners: dict[str, str] = {}
        self.issued: list[str] = []
        self._families: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def token(self, client: ClientCredentials, form: dict[str, str]) -> Answer:
        worker = self._adversary.running()
        if worker is not None:
            self._adversary.asks(worker)
        how = self._adversary.gate("token")
        if how == "refuse":
            return Answer(503, b"down")
        if how == "unsent":
            raise ProviderUnreachable("no answer in time", sent=True)
        tenant = client.client_id.removeprefix("id-")
        body = self._process(tenant, form)
        if how == "lose":
            if "refresh_token" in body and form["grant_type"] == "refresh_token":
                self._adversary.lost.add(tenant)
            raise ProviderUnreachable("no answer in time", sent=True)
        if worker is not None and "refresh_token" in body:
            worker.holds.add(body["refresh_token"])
        return Answer(400 if "error" in body else 200, json.dumps(body).encode())

    def revoke(self, client: ClientCredentials, token: str) -> Revocation:
        return Revocation.DONE

    def account(self, access_token: str) -> str | None:
        return "4000000001"

    def usable(self, token: str | None) -> bool:
        """Whether GoTo would take this refresh token now."""
        grant = self.grants.get(self._families.get(token or "", ""))
        held = grant.token(token or "") if grant else None
        now = self._adversary.now
        return (
            grant is not None
            and held is not None
            and not grant.revoked
            and not held.is_expired(now)
            and not held.is_retired(now, self._switches.rotation_grace)
        )

    def family(self, token: str) -> str:
        """The authorization that a refresh token descends from."""
        return self._families[token]

    def expired(self, token: str) -> bool:
        """Whether a refresh token came to its natural end."""
        held = self.grants[self._families[token]].token(token)
        return held is not None and held.is_expired(self._adversary.now)

    def _process(self, tenant: str, form: dict[str, str]) -> dict[str, Any]:
        now = self._adversary.now
        if form["grant_type"] == "authorization_code":
            first = self._new(tenant)
            self._families[first] = first
            empty = rules.Grant(first, tenant, "admin", "all", ())
            self.grants[first] = rules.open_grant(empty, first, now, self._switches)
            return self._body(tenant, first)
        family = self._families[form["refresh_token"]]
        outcome = rules.refresh(
            self.grants[family],
            form["refresh_token"],
            now,
            self._switches,
            lambda: self._new(tenant),
        )
        if outcome.grant.revoked and not self.grants[family].revoked:
            self._adversary.family_revoked(tenant)
        self.grants[family] = outcome.grant
        if outcome.refusal is not None:
            return {"error": outcome.refusal.error}
        if outcome.new is not None:
            self._families[outcome.new.id] = family
        return self._body(tenant, outcome.new.id if outcome.new else None)

    def _body(self, tenant: str, refresh_token: str | None) -> dict[str, Any]:
        number = next(self._numbers)
        token = f"access-{number}"
        self.owners[token] = tenant
        self.lives[token] = 3_600 + number
        body: dict[str, Any] = {"access_token": token, "expires_in": self.lives[token]}
        return body | ({"refresh_token": refresh_token} if refresh_token else {})

    def _new(self, tenant: str) -> str:
        token = f"refresh-{next(self._numbers)}"
        self.issued.append(token)
        self.owners[token] = tenant
        return token


class GatedQueue:
    """The rescue queue, behind the gate."""

    def __init__(self, adversary: "Adversary") -> None:
        self._adversary = adversary
        self.messages: list[str] = []

    def send(self, message: str) -> None:
        how = self._adversary.gate("send")
        if how == "refuse":
            raise DependencyUnavailable("sqs", "ServiceUnavailable")
        self.messages.append(message)
        if how == "lose":
            raise DependencyUnavailable("sqs", "ReadTimeoutError")

    def pending(self) -> int:
        if self._adversary.gate("pending") == "refuse":
            raise DependencyUnavailable("sqs", "ServiceUnavailable")
        return len(self.messages)


class OpenVault:
    """Client secrets, which are not what this is about."""

    def __init__(self, clients: dict[str, str]) -> None:
        self._clients = clients

    def credentials(self, tenant: str, version: str) -> ClientCredentials:
        return ClientCredentials(self._clients[tenant], "a-secret")

    def newest_of(self, tenant: str, client_id: str) -> ClientCredentials:
        return ClientCredentials(client_id, "a-secret")
