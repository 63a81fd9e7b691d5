"""Notices when the *form* of GoTo's token answers changes: members, lifetimes, errors, headers.

Reads names and lifetimes, no other value. The first function to see a new form reports it, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chalicelib.dynamodb.provider_health import ProviderRow
from chalicelib.errors import Conflict, DependencyUnavailable
from chalicelib.goto.oauth import Answer, GoToClient
from chalicelib.goto.token_response import json_object
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import PROVIDER, ClientCredentials, Revocation
from chalicelib.permissions import GoToAccount, Usable
from chalicelib.tokens.commit import SCHEDULER
from chalicelib.untrusted_text import inert

MEMBERS = frozenset(
    {"access_token", "refresh_token", "token_type", "expires_in", "scope", "principal", "loa"}
)
"""Members of a token answer in public sources; each may be missing."""

ERRORS = frozenset(
    {
        "400 invalid_grant",
        "400 invalid_request",
        "400 invalid_client",
        "401 invalid_client",
        "400 unauthorized_client",
        "400 unsupported_grant_type",
        "400 invalid_scope",
    }
)
"""Known pairs of status and error code (RFC 6749 5.2)."""

LIFE = "a life of about"
"""Prefix of a lifetime's form. The first lifetime is only learned; another one is news."""

MOST_NAMED, LONGEST = 20, 40
"""Limits: new names taken from one answer, and characters of each."""


def forms(answer: Answer) -> Iterator[str]:
    """Forms in an answer that public sources don't mention, and its lifetime."""
    yield from (f"the header {name}" for name in answer.notices)
    fields = json_object(answer.body)
    if not fields or answer.status >= 500:
        return
    error = fields.get("error")
    if 200 <= answer.status < 300 and error is None:
        if answer.status != 200:
            yield f"tokens with status {answer.status}"
        names = sorted(set(map(str, fields)) - MEMBERS)[:MOST_NAMED]
        yield from (f"the member {_short(name)}" for name in names)
        life = fields.get("expires_in")
        if isinstance(life, int):
            yield f"{LIFE} {round(life / 60)} minutes"
    elif isinstance(error, str):
        pair = f"{answer.status} {_short(error)}"
        if pair not in ERRORS:
            yield f"the error {pair}"


def _short(text: str) -> str:
    return inert(text[:LONGEST])


@dataclass(kw_only=True)
class ResponseChanges:
    """Collects forms during one invocation and reports at its end. Never fails it."""

    provider: ProviderRow
    clock: Callable[[], float]
    report: Callable[[Exception], None]
    met: set[str] = field(default_factory=set)

    def tell(self) -> None:
        """Write the forms that are new into one journal entry."""
        if not self.met:
            return
        try:
            old_forms = self.provider.forms()
            new_forms = sorted(self.met - set(old_forms))
            first_life = not any(form.startswith(LIFE) for form in old_forms)
            news = [form for form in new_forms if not (first_life and form.startswith(LIFE))]
            if new_forms:
                self.provider.learn_forms(old_forms, new_forms, self._entry(news) if news else None)
        except Conflict:
            pass  # another function is reporting; we will see the rest again
        except DependencyUnavailable as error:
            self.report(error)

    def _entry(self, news: list[str]) -> JournalEntry:
        text = f"The format of GoTo's answers has changed: {'; '.join(news)}."
        return JournalEntry(PROVIDER, self.clock(), Kind.ANSWERS_CHANGED, SCHEDULER, text)


@dataclass(frozen=True)
class WatchedGoTo:
    """Wraps GoTo and collects the forms of its token answers in ``met``."""

    goto: GoToClient
    met: set[str]

    def token(self, client: ClientCredentials, form: dict[str, str]) -> Answer:
        answer = self.goto.token(client, form)
        self.met.update(forms(answer))
        return answer

    def revoke(self, client: ClientCredentials, token: str) -> Revocation:
        return self.goto.revoke(client, token)

    def accounts(self, access_token: str) -> tuple[GoToAccount, ...] | None:
        return self.goto.accounts(access_token)

    def read_calls(self, access_token: str, account: str | None) -> Usable:
        return self.goto.read_calls(access_token, account)

    def authorize(self, client_id: str, redirect_uri: str) -> Answer:
        return self.goto.authorize(client_id, redirect_uri)
