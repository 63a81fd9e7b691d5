"""Use case: tokens that DynamoDB did not take wait in a queue and are committed later (F03, F24).

A message holds everything a commit needs, tokens included: the queue is encrypted under the
grants key. The commit follows the same rule as any other. A message that can't be committed stays
until SQS moves it to the dead-letter queue, which has an alarm.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from chalicelib import untrusted_text
from chalicelib.durations import REVOKE_AGAIN
from chalicelib.dynamodb.authorization_requests import AuthorizationRequests
from chalicelib.dynamodb.rows import named
from chalicelib.errors import Conflict
from chalicelib.goto.oauth import Answer, Failure
from chalicelib.goto.token_response import judge
from chalicelib.models import (
    AuthorizationRequest,
    EndCause,
    Grant,
    Inflight,
    NewTokens,
    Reason,
    RequestStatus,
    Revocation,
    Status,
)
from chalicelib.permissions import GoToAccount, Owner
from chalicelib.tokens.commit import CommitResult, Commits
from chalicelib.tokens.request_outcomes import ENDS, ending
from chalicelib.tokens.rescue_queue import RescueQueue
from chalicelib.tokens.revoker import Revoker, given_up

SCHEMA = 1


class Rescued(StrEnum):
    """The result for a message; the queue then deletes it."""

    COMMITTED = "committed"
    SUPERSEDED = "superseded"
    REFUSED = "refused"
    POSTPONED = "postponed"


def refresh_message(asked: Grant, new_tokens: NewTokens, owner: Owner | None = None) -> str:
    """A refresh's answer, with the grant it was asked for and the owner to pin."""
    owner_fields = owner._asdict() if owner else {}
    return json.dumps(
        {"schema": SCHEMA, "asked": asdict(asked), "fresh": asdict(new_tokens), **owner_fields}
    )


def connect_message(request: AuthorizationRequest, new_tokens: NewTokens, owner: Owner) -> str:
    """An exchange's answer, with its authorization request."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "request": _kept(request),
            "fresh": asdict(new_tokens),
            **owner._asdict(),
        }
    )


def read_connect_message(message: str) -> tuple[AuthorizationRequest, NewTokens, Owner]:
    """The inverse of `connect_message`."""
    content = json.loads(message)
    return _request(content["request"]), _checked(content["fresh"]), _owner(content)


def answer_message(asked: Grant, answer: Answer, asked_at: int) -> str:
    """A refresh's raw answer, for when a fault of ours kept us from reading it (F29)."""
    return json.dumps({"schema": SCHEMA, "asked": asdict(asked), **_raw(answer, asked_at)})


def exchange_message(request: AuthorizationRequest, answer: Answer, asked_at: int) -> str:
    """Like `answer_message`, for an exchange."""
    return json.dumps({"schema": SCHEMA, "request": _kept(request), **_raw(answer, asked_at)})


def _kept(request: AuthorizationRequest) -> dict[str, Any]:
    """Leaves out the used code and verifier, and ``pressed_by`` if it is None: after a rollback the
    previous release reads these messages, and does not have that field."""
    values = asdict(replace(request, verifier="", code=None))
    if request.pressed_by is None:
        del values["pressed_by"]
    return values


def _raw(answer: Answer, asked_at: int) -> dict[str, Any]:
    body = base64.b64encode(answer.body).decode("ascii")
    return {"status": answer.status, "body": body, "asked_at": asked_at}


@dataclass(frozen=True, kw_only=True)
class Rescue:
    """``settle`` commits a sign-in or lets it wait for the admin's choice (`SignIns`)."""

    commits: Commits
    settle: Callable[[AuthorizationRequest, NewTokens, Owner], Reason | None]
    requests: AuthorizationRequests
    rescue_queue: RescueQueue
    revoker: Revoker
    clock: Callable[[], float]

    def commit(self, message: str) -> Rescued:
        """Commit a message. After any error that this raises, SQS delivers the message again. It
        may also deliver a message twice: the second delivery finds its own commit."""
        content = json.loads(message)
        if content["schema"] != SCHEMA:
            raise ValueError("a message of another schema")
        if "asked" in content:
            return self._refreshed(message, content)
        return self._exchanged(message, content)

    def _refreshed(self, message: str, content: dict[str, Any]) -> Rescued:
        asked, owner = _grant(content["asked"]), _owner(content)
        new_tokens = self._new_tokens(content, asked.tenant, asked)
        if new_tokens is None:
            return Rescued.REFUSED  # it holds no tokens
        result = self.commits.refresh(asked, new_tokens, owner=owner if owner.keys else None)
        if result is CommitResult.STANDS:
            return Rescued.COMMITTED
        if result is CommitResult.OTHER_ACCOUNT:
            return Rescued.REFUSED  # the grant stays due until it is revoked
        if self.commits.must_revoke(asked.tenant):
            to_revoke = given_up(new_tokens)
            if not self._revoked(message, asked.tenant, asked.client_id, *to_revoke):
                return Rescued.POSTPONED
        return Rescued.SUPERSEDED

    def _exchanged(self, message: str, content: dict[str, Any]) -> Rescued:
        """A raw answer's request has already failed for the admin, so its tokens are revoked."""
        request, owner = _request(content["request"]), _owner(content)
        new_tokens = self._new_tokens(content, request.tenant)
        refused: Reason | None = Reason.INTERNAL
        if "fresh" in content and new_tokens is not None:
            refused = self.settle(request, new_tokens, owner)
        if refused in (None, Reason.ACCOUNT_TO_CHOOSE):
            return Rescued.COMMITTED
        entry = ending(request, refused, self.clock(), owner)
        # It may already have ended and been reported.
        with suppress(Conflict):
            self.requests.fail(request.key, int(self.clock()), ENDS[refused].status, refused, entry)
        to_revoke = given_up(new_tokens) if new_tokens else None
        if to_revoke and not self._revoked(message, request.tenant, request.client_id, *to_revoke):
            return Rescued.POSTPONED
        return Rescued.REFUSED

    def _new_tokens(
        self, content: dict[str, Any], tenant: str, held: Grant | None = None
    ) -> NewTokens | None:
        """None if a raw answer holds no tokens."""
        if "fresh" in content:
            return _checked(content["fresh"])
        verdict = judge(Answer(content["status"], base64.b64decode(content["body"])))
        if isinstance(verdict, Failure):
            return None
        return self.commits.dated(tenant, verdict, content["asked_at"], held)

    def _revoked(self, message: str, tenant: str, client_id: str, token: str, ends_at: int) -> bool:
        """Revoke a token. Until GoTo confirms or the token ends, requeue the message (S22, F36)."""
        revocation = self.revoker.attempt(tenant, client_id, token, ends_at)
        if revocation is Revocation.LATER:
            self.rescue_queue.send(message, REVOKE_AGAIN)
        return revocation is not Revocation.LATER


def _checked(values: dict[str, Any]) -> NewTokens:
    """Check the scope again (S30): a release without that check may have queued it."""
    checked = {"token_type": "Bearer", "scope": untrusted_text.scope(values.get("scope"))}
    return NewTokens(**values | checked)


def _owner(values: dict[str, Any]) -> Owner:
    account = untrusted_text.account_key(values.get("account"))
    return Owner(account, untrusted_text.principal(values.get("principal")), _accounts(values))


def _accounts(values: dict[str, Any]) -> tuple[GoToAccount, ...]:
    pairs = values.get("accounts", ())
    keys = {untrusted_text.account_key(key): name for key, name in pairs}
    return tuple(GoToAccount(key, untrusted_text.principal(keys[key])) for key in keys if key)


def _grant(values: dict[str, Any]) -> Grant:
    inflight, ended_by = values.pop("inflight"), values.pop("ended_by", None)
    status = Status(values.pop("status"))
    return Grant(
        **values,
        status=status,
        inflight=Inflight(**inflight) if inflight else None,
        ended_by=named(EndCause, ended_by, EndCause.REFUSED) if ended_by else None,
    )


def _request(values: dict[str, Any]) -> AuthorizationRequest:
    status = named(RequestStatus, values.pop("status"), RequestStatus.FAILED)
    reason = values.pop("reason")
    reason = named(Reason, reason, Reason.INTERNAL) if reason else None
    values["accounts"] = _accounts(values)
    return AuthorizationRequest(**values, status=status, reason=reason)
