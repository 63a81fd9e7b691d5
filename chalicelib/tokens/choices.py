"""Use case: a sign-in that waits until the admin chooses a GoTo account (S26).

The new tokens wait in `Grants`, in the rescue queue's format. The choice commits them; without one
within an hour, they are revoked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from chalicelib.durations import BACKOFF_CAP
from chalicelib.dynamodb.accounts import WAITING, Choices, waiting_key
from chalicelib.dynamodb.authorization_requests import AuthorizationRequests
from chalicelib.errors import Conflict
from chalicelib.journal_entries import LINK_HOLDER, JournalEntry, Kind
from chalicelib.models import AuthorizationRequest, Due, NewTokens, Reason, Revocation
from chalicelib.permissions import Owner
from chalicelib.tokens.commit import Commits
from chalicelib.tokens.request_outcomes import ENDS, ending
from chalicelib.tokens.rescue import connect_message, read_connect_message
from chalicelib.tokens.revoker import Revoker, given_up


def waits(due: Due) -> bool:
    """Whether a row of the due index is tokens that wait for a choice, not a tenant."""
    return due.tenant.startswith(WAITING)


@dataclass(frozen=True, kw_only=True)
class SignIns:
    commits: Commits
    choices: Choices
    requests: AuthorizationRequests
    revoker: Revoker
    clock: Callable[[], float]

    def settle(
        self, request: AuthorizationRequest, new_tokens: NewTokens, owner: Owner
    ) -> Reason | None:
        """Commit a sign-in's tokens, or let them wait for the admin's choice. Returns why they are
        not committed, or None. Raises `DependencyUnavailable`: they may be written or not."""
        refused = self.commits.connect(request, new_tokens, owner)
        if refused is Reason.ACCOUNT_TAKEN:
            self._tell_holder(request, owner)
        if refused is not Reason.ACCOUNT_TO_CHOOSE:
            return refused
        offered = replace(request, accounts=owner.accounts)
        try:
            self.choices.offer(
                offered, connect_message(request, new_tokens, owner), int(self.clock())
            )
        except Conflict as error:
            # The request has ended, or we wrote this offer before (F04).
            if self.choices.waiting(waiting_key(request.key)) is not None:
                return refused
            return Reason.ENDED if "tenants" in error.failed else Reason.SUPERSEDED
        return refused

    def _tell_holder(self, request: AuthorizationRequest, owner: Owner) -> None:
        """Tell the other tenant's rep, too: one of the two claims is wrong (S26)."""
        for account in (request.account, *owner.keys):
            holder = account and self.commits.rule.other_holder(account, request.tenant)
            if holder:
                text = (
                    f"A sign-in for {request.tenant} with this tenant's GoTo account {account} was"
                    " refused: an account belongs to one tenant. If both rightly use it:"
                    f" pin share {request.tenant} --account {account}"
                )
                kind, who = Kind.ACCOUNT_WANTED, owner.principal or request.pressed_by
                self.requests.tell(
                    JournalEntry(
                        holder, self.clock(), kind, who or LINK_HOLDER, text, request.reference
                    )
                )
                return

    def taken_up(self, key: str) -> tuple[AuthorizationRequest, NewTokens, Owner] | None:
        """Take up what waits for a request's choice, once; None if there is nothing to take up."""
        choice = self.choices.take_choice(key)
        if choice is None:
            return None
        _, new_tokens, owner = read_connect_message(choice[1])
        return choice[0], new_tokens, owner

    def expire(self, due: Due) -> bool:
        """End a sign-in without a choice in time, and revoke its tokens; False if GoTo has yet to
        revoke them. Raises `Conflict` if the admin chose at the last moment and the tokens are a
        connection; `DependencyUnavailable`."""
        row = self.choices.waiting(due.tenant)
        if row is None or row[1] != due.at:
            return True
        request, new_tokens, owner = read_connect_message(row[0])
        reason, now = Reason.ACCOUNT_NOT_CHOSEN, self.clock()
        entry = ending(request, reason, now, owner)
        try:
            self.requests.fail(request.key, int(now), ENDS[reason].status, reason, entry)
        except Conflict:  # it has already ended and been reported
            if self.choices.waiting(due.tenant) is None:
                raise
        to_revoke = given_up(new_tokens)
        revocation = self.revoker.attempt(request.tenant, request.client_id, *to_revoke)
        if revocation is Revocation.LATER:
            self.choices.put_off(due.tenant, int(now) + BACKOFF_CAP)
            return False
        self.choices.forget(due.tenant, request.tenant)
        return True
