"""Tables, GoTo and the rescue queue behind the gates at which the adversary stops a worker."""

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from botocore.exceptions import ReadTimeoutError as NoAnswer

from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.models import ClientCredentials, Revocation
from chalicelib.permissions import GoToAccount, Usable
from sandbox.goto import token_rules
from sandbox.goto.switches import Switches
from tests.support.memory import MemoryDynamoDB
from tests.support.stubs import account_of

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
            work = partial(getattr(self._client, operation), **arguments)
            if how == "late":  # still on its way when its sender has given up
                self._adversary.late.append(work)
                raise NoAnswer(endpoint_url="dynamodb")
            try:
                answer = work()
            except ClientError as error:
                self._adversary.read(operation, repr(error.response))
                raise
            if how == "lose":
                raise NoAnswer(endpoint_url="dynamodb")
            self._adversary.read(operation, repr(answer))
            return answer

        return call


class GatedGoTo:
    """GoTo by its rules, behind the gate. Each access token has a life of its own length, so that
    a token beside another's expiry is seen."""

    def __init__(self, adversary: "Adversary", switches: Switches) -> None:
        self._adversary = adversary
        self._switches = switches
        self.grants: dict[str, token_rules.Grant] = {}
        self.lives: dict[str, int] = {}
        self.owners: dict[str, str] = {}
        self.issued: list[str] = []
        self._families: dict[str, str] = {}
        self._numbers = 0

    def snapshot(self) -> dict[str, Any]:
        """Everything that a run may change, for `restore`."""
        copied = ("grants", "lives", "owners", "issued", "_families")
        return {name: getattr(self, name).copy() for name in copied} | {"_numbers": self._numbers}

    def restore(self, snapshot: dict[str, Any]) -> None:
        for name, value in snapshot.items():
            setattr(self, name, value.copy() if hasattr(value, "copy") else value)

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
        self._adversary.read("token", repr(body))
        if worker is not None and "refresh_token" in body:
            worker.holds.add(body["refresh_token"])
        return Answer(400 if "error" in body else 200, json.dumps(body).encode())

    def revoke(self, client: ClientCredentials, token: str) -> Revocation:
        family = self._families.get(token)
        if family is not None:
            self.grants[family] = token_rules.revoke(self.grants[family])
        return Revocation.DONE

    def accounts(self, access_token: str) -> tuple[GoToAccount, ...]:
        return (GoToAccount(account_of(f"id-{self.owners[access_token]}")),)

    def read_calls(self, access_token: str, account: str | None) -> Usable:
        return Usable.YES

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
            empty = token_rules.Grant(first, tenant, "admin", "all", ())
            self.grants[first] = token_rules.open_grant(empty, first, now, self._switches)
            return self._body(tenant, first)
        family = self._families[form["refresh_token"]]
        outcome = token_rules.refresh(
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
        self._numbers += 1
        number = self._numbers
        token = f"access-{number}"
        self.owners[token] = tenant
        self.lives[token] = 3_600 + number
        body: dict[str, Any] = {"access_token": token, "expires_in": self.lives[token]}
        return body | ({"refresh_token": refresh_token} if refresh_token else {})

    def _new(self, tenant: str) -> str:
        self._numbers += 1
        token = f"refresh-{self._numbers}"
        self.issued.append(token)
        self.owners[token] = tenant
        return token


class GatedQueue:
    """The rescue queue, behind the gate."""

    def __init__(self, adversary: "Adversary") -> None:
        self._adversary = adversary
        self.messages: list[str] = []

    def send(self, message: str, delay: int = 0) -> None:
        how = self._adversary.gate("send")
        if how == "refuse":
            raise DependencyUnavailable("sqs", "ServiceUnavailable")
        self.messages.append(message)
        if how == "lose":
            raise DependencyUnavailable("sqs", "ReadTimeoutError")

    def pending(self) -> int:
        if self._adversary.gate("pending") == "refuse":
            raise DependencyUnavailable("sqs", "ServiceUnavailable")
        self._adversary.read("pending", str(len(self.messages)))
        return len(self.messages)


class OpenSecretStore:
    """Client secrets, which are not what this is about."""

    def __init__(self, clients: dict[str, str]) -> None:
        self._clients = clients

    def credentials(self, tenant: str, version: str) -> ClientCredentials:
        return ClientCredentials(self._clients[tenant], "a-secret")

    def newest_of(self, tenant: str, client_id: str) -> ClientCredentials:
        return ClientCredentials(client_id, "a-secret")

    def store(self, tenant: str, credentials: ClientCredentials) -> str:
        return "1"
