"""Use case: what GoTo gave and DynamoDB would not take, kept in a queue and committed later (F03,
F24).

A message holds everything a commit needs, tokens included: the queue is encrypted under the
grants key. It is committed by the same rule as any other; what can never be committed stays in
the queue until that hands it to its dead-letter queue, which has an alarm.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from chalicelib.endings import ending, outcome
from chalicelib.errors import ClientGone, Conflict, DependencyUnavailable
from chalicelib.model import (
    AuthorizationRequest,
    Fresh,
    Grant,
    Inflight,
    Reason,
    RequestStatus,
    Revocation,
    Status,
)

if TYPE_CHECKING:
    from chalicelib.commits import Commits
    from chalicelib.goto import GoTo
    from chalicelib.oauth import ClientCredentials
    from chalicelib.store.requests import AuthorizationRequests
    from chalicelib.store.tenants import Tenants
    from chalicelib.vault import Vault

SCHEMA = 1


class Rescued(StrEnum):
    """What became of a message; each ends it."""

    COMMITTED = "committed"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


def refresh_message(asked: Grant, fresh: Fresh) -> str:
    """A refresh's answer, with what it was asked as."""
    return json.dumps({"schema": SCHEMA, "asked": asdict(asked), "fresh": asdict(fresh)})


def connect_message(
    request: AuthorizationRequest, fresh: Fresh, account: str | None, principal: str | None
) -> str:
    """An exchange's answer, with the authorization request it belongs to."""
    kept = replace(request, verifier="", code=None)  # used up
    return json.dumps(
        {
            "schema": SCHEMA,
            "request": asdict(kept),
            "fresh": asdict(fresh),
            "account": account,
            "principal": principal,
        }
    )


class Rescue:
    def __init__(
        self,
        *,
        commits: "Commits",
        requests: "AuthorizationRequests",
        tenants: "Tenants",
        vault: "Vault",
        goto: "GoTo",
        clock: Callable[[], float],
    ) -> None:
        self._commits = commits
        self._requests = requests
        self._tenants = tenants
        self._vault = vault
        self._goto = goto
        self._clock = clock

    def commit(self, message: str) -> Rescued:
        """Commit a message. Raises whatever keeps it from that: the queue offers it again.

        A message may come twice (SQS delivers at least once): the second finds its own commit.
        """
        content = json.loads(message)
        if content["schema"] != SCHEMA:
            raise ValueError("a message of another schema")
        fresh = Fresh(**content["fresh"])
        if "asked" in content:
            asked = _grant(content["asked"])
            if self._commits.refresh(asked, fresh):
                return Rescued.COMMITTED
            if self._commits.given_up(asked.tenant):
                self._withdraw(
                    asked.tenant,
                    lambda: self._vault.newest_of(asked.tenant, asked.client_id),
                    fresh,
                )
            return Rescued.SUPERSEDED
        request = _request(content["request"])
        refused = self._commits.connect(request, fresh, content["account"], content["principal"])
        if refused is None:
            return Rescued.COMMITTED
        self._refuse(request, fresh, refused)
        return Rescued.REFUSED

    def _refuse(self, request: AuthorizationRequest, fresh: Fresh, reason: Reason) -> None:
        """The same end as `Completion` gives it: the grant is withdrawn, the request has failed."""
        entry = ending(request, reason, self._clock())
        # It may have ended in the meantime, and said so then.
        with suppress(Conflict):
            self._requests.fail(request.key, int(self._clock()), outcome(reason), reason, entry)
        self._withdraw(
            request.tenant,
            lambda: self._vault.credentials(request.tenant, request.secret_version),
            fresh,
        )

    def _withdraw(
        self, tenant: str, client_of: Callable[[], "ClientCredentials"], fresh: Fresh
    ) -> None:
        """Raises `DependencyUnavailable` until GoTo has heard: the queue then asks again (S22).

        With its tenant a client goes as well, and with it whoever GoTo would listen to.
        """
        try:
            client = client_of()
        except ClientGone:
            if self._tenants.without_client(tenant):
                return
            raise
        given = fresh.refresh_token or fresh.access_token
        if self._goto.revoke(client, given) is Revocation.LATER:
            raise DependencyUnavailable("goto", "not yet withdrawn")


def _grant(values: dict[str, Any]) -> Grant:
    inflight = values.pop("inflight")
    status = Status(values.pop("status"))
    return Grant(**values, status=status, inflight=Inflight(**inflight) if inflight else None)


def _request(values: dict[str, Any]) -> AuthorizationRequest:
    status = RequestStatus(values.pop("status"))
    reason = values.pop("reason")
    return AuthorizationRequest(**values, status=status, reason=Reason(reason) if reason else None)
