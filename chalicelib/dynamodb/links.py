"""The `Links` table: emailed links by their SHA-256, and how often each was used to start.

Its rows expire by themselves, so it also holds which mails were sent, which of the rep's proofs
were used, and the tickets by which the rep's function has `refresh_now` compare GoTo's answers.
Using up an intake link, switching the client and the journal entry are one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.durations import (
    CALLER_PROOF_RETENTION,
    FACTS_AGAIN,
    LINK_RETENTION,
    REMINDER_KEPT,
    SENT_MAIL_RETENTION,
    STARTS_KEPT,
)
from chalicelib.dynamodb import expressions, journal
from chalicelib.dynamodb.expressions import Tables
from chalicelib.dynamodb.tenants import in_series
from chalicelib.errors import Conflict
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Link, LinkKind
from chalicelib.opaque import digest


@dataclass(eq=False)
class Links:
    tables: Tables

    def get(self, key: str) -> Link | None:
        """The link stored under this digest. Raises `DependencyUnavailable`."""
        values = expressions.get(self.tables.client, self.tables.links, {"link": key})
        if not values:
            return None
        return Link(
            key=values["link"],
            tenant=values["tenant"],
            expires_at=values["expires_at"],
            kind=LinkKind(values["kind"]),
            used_by=values.get("used_by"),
            series=values.get("series", 0),
        )

    def add(self, link: Link, entry: JournalEntry | None) -> None:
        """Store a new link, with the journal's line on it where there is one.

        Raises `DependencyUnavailable`.
        """
        values = {
            "link": link.key,
            "tenant": link.tenant,
            "kind": link.kind,
            "expires_at": link.expires_at,
            "series": link.series,
            "delete_after": link.expires_at + LINK_RETENTION,
        }
        created = expressions.put(self.tables.links, values, when="attribute_not_exists(#link)")
        told = [journal.row(self.tables.journal, entry)] if entry else []
        expressions.transact(
            self.tables.client, [expressions.Action("links", {"Put": created}), *told]
        )

    def open_count(self, key: str, now: int) -> None:
        """Have a row under which a person's starts are counted, though they hold no link.

        Raises `DependencyUnavailable`.
        """
        row = expressions.update(
            self.tables.links, {"link": key}, setting={"delete_after": now + STARTS_KEPT}
        )
        expressions.change(self.tables.client, "links", row)

    def count_start(
        self, key: str, now: int, *, window: int, most: int, counter: str = "start"
    ) -> bool:
        """Count one start of an authorization; False when the link's share is used up (S16).

        ``window`` in seconds; each has a ``counter`` of its own. Raises `DependencyUnavailable`.
        """
        current = now // window
        began, starts = f"{counter}_window", f"{counter}s"
        again = expressions.update(
            self.tables.links,
            {"link": key},
            setting={began: current, starts: 1},
            when=f"attribute_exists(#link) AND (attribute_not_exists(#{began})"
            f" OR #{began} <> :set_{began})",
        )
        another: dict[str, Any] = {
            "TableName": self.tables.links,
            "Key": {"link": {"S": key}},
            "UpdateExpression": "ADD #starts :one",
            "ConditionExpression": "#began = :current AND #starts < :most",
            "ExpressionAttributeNames": {"#starts": starts, "#began": began},
            "ExpressionAttributeValues": {
                ":one": {"N": "1"},
                ":current": {"N": str(current)},
                ":most": {"N": str(most)},
            },
        }
        return self._holds(another) or self._holds(again)

    def claim_mail(self, tenant: str, now: int, *, pause: int) -> bool:
        """Take the right to mail this tenant's admin a fresh link, once every ``pause`` seconds."""
        return self._holds(
            expressions.update(
                self.tables.links,
                {"link": f"mail#{tenant}"},
                setting={"mailed_at": now, "delete_after": now + pause},
                when="attribute_not_exists(#mailed_at) OR #mailed_at <= :before",
                before=now - pause,
            )
        )

    def _holds(self, change: dict[str, Any]) -> bool:
        try:
            expressions.change(self.tables.client, "links", change)
        except Conflict:
            return False
        return True


@dataclass(eq=False)
class IntakeTables:
    tables: Tables

    def switch_client(
        self, link: Link, used_by: str, client_id: str, secret_version: str, entry: JournalEntry
    ) -> None:
        """Spend the link and make the client the tenant's, in one transaction.

        ``entry.at`` is the moment at which the link must still be alive. Raises `Conflict`:
        ``links`` when it was used or has expired meanwhile, ``tenants`` when the tenant
        is gone or its links are; `DependencyUnavailable`.
        """
        serves, series = in_series(link.series)
        spent = expressions.update(
            self.tables.links,
            {"link": link.key},
            setting={"used_by": used_by},
            when="#kind = :intake AND attribute_not_exists(#used_by) AND #expires_at > :now",
            intake=LinkKind.INTAKE,
            now=int(entry.at),
        )
        switched = expressions.update(
            self.tables.tenants,
            {"tenant": link.tenant},
            setting={"client_id": client_id, "secret_version": secret_version},
            when=serves,
            **series,
        )
        expressions.transact(
            self.tables.client,
            [
                expressions.Action("links", {"Update": spent}),
                expressions.Action("tenants", {"Update": switched}),
                journal.row(self.tables.journal, entry),
            ],
        )


@dataclass(eq=False)
class SentMails:
    tables: Tables

    def told(self, occasion: str) -> tuple[str, ...]:
        """Keys of the entries that were mailed at this occasion. Raises `DependencyUnavailable`."""
        row = expressions.get(self.tables.client, self.tables.links, _key(occasion))
        return tuple(row.get("told", occasion).split()) if row else ()

    def note(self, occasion: str, told: Sequence[str], now: int) -> None:
        """Note which were. Raises `DependencyUnavailable`."""
        row = {**_key(occasion), "told": " ".join(told), "delete_after": now + SENT_MAIL_RETENTION}
        with expressions.dynamodb_errors():
            self.tables.client.put_item(TableName=self.tables.links, Item=expressions.item(row))


@dataclass(eq=False)
class RemindersSent:
    tables: Tables

    def remind(self, entry: JournalEntry, since: int, now: int) -> bool:
        """Write a reminder into the journal, once for each end of a connection (``since``): its
        mails are sent from there. False where it was written before. Raises
        `DependencyUnavailable`."""
        key = f"reminded#{entry.tenant}#{since}#{entry.kind}"
        row = {"link": key, "delete_after": now + REMINDER_KEPT}
        once = expressions.put(self.tables.links, row, when="attribute_not_exists(#link)")
        actions = [
            expressions.Action("reminded", {"Put": once}),
            journal.row(self.tables.journal, entry),
        ]
        try:
            expressions.transact(self.tables.client, actions)
        except Conflict:
            return False
        return True


def _key(occasion: str) -> dict[str, str]:
    return {"link": f"sent#{occasion}"}


@dataclass(eq=False)
class Proofs:
    tables: Tables

    def spend(self, nonce: str, now: int) -> bool:
        """Use a proof up, by its nonce; False where that was done before.

        Also False where our own first attempt succeeded and its answer was lost: then nothing has
        been done for it yet. Raises `DependencyUnavailable`.
        """
        key = f"proof#{hashlib.sha256(nonce.encode()).hexdigest()}"
        row = {"link": key, "delete_after": now + CALLER_PROOF_RETENTION}
        unused = expressions.put(self.tables.links, row, when="attribute_not_exists(#link)")
        try:
            with expressions.dynamodb_errors():
                self.tables.client.put_item(**unused)
        except Conflict:
            return False
        return True


@dataclass(eq=False)
class FactsTickets:
    """What `refresh_now` wants to see before it compares GoTo's answers with a tenant's client. It
    can't tell who invokes it; the rep's function alone can write a ticket (S21)."""

    tables: Tables

    def issue(self, ticket: str, entry: JournalEntry) -> bool:
        """Keep a ticket for the tenant of ``entry``, which says who asked; False where the one
        before was issued less than `FACTS_AGAIN` ago. Raises `DependencyUnavailable`."""
        now = int(entry.at)
        issued = expressions.put(
            self.tables.links,
            {
                **_facts(entry.tenant),
                "ticket": digest(ticket),
                "asked_at": now,
                "delete_after": now + FACTS_AGAIN,
            },
            when="attribute_not_exists(#link) OR #asked_at <= :before",
            before=now - FACTS_AGAIN,
        )
        actions = [
            expressions.Action("ticket", {"Put": issued}),
            journal.row(self.tables.journal, entry),
        ]
        try:
            expressions.transact(self.tables.client, actions)
        except Conflict:
            return False
        return True

    def spend(self, tenant: str, ticket: str, now: int) -> bool:
        """Use a ticket up; False where it is not the tenant's, was used or has expired. Raises
        `DependencyUnavailable`."""
        spent = expressions.update(
            self.tables.links,
            _facts(tenant),
            remove=("ticket",),
            when="#ticket = :ticket AND #asked_at > :before",
            ticket=digest(ticket),
            before=now - FACTS_AGAIN,
        )
        try:
            expressions.change(self.tables.client, "links", spent)
        except Conflict:
            return False
        return True


def _facts(tenant: str) -> dict[str, str]:
    return {"link": f"#facts#{tenant}"}
