"""The `Links` table: emailed links by their SHA-256, and how many authorizations each has started.

Its rows expire by themselves, so it also holds the mails sent, the rep's proofs used, and the
tickets with which the rep's function has `refresh_now` compare GoTo's answers. One transaction uses
up an intake link, switches the client and writes the journal entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from chalicelib.durations import (
    CALLER_PROOF_RETENTION,
    FACTS_AGAIN,
    LINK_RETENTION,
    REMINDER_KEPT,
    SENT_MAIL_RETENTION,
    STARTS_KEPT,
)
from chalicelib.dynamodb import journal
from chalicelib.dynamodb.rows import from_row, to_row
from chalicelib.dynamodb.table import Store
from chalicelib.dynamodb.tenants import in_series
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Link, LinkKind
from chalicelib.opaque import digest


class Links(Store):
    def get(self, key: str) -> Link | None:
        """The link stored under this digest. Raises `DependencyUnavailable`."""
        values = self.tables.links.get(key)
        return from_row(Link, values, key=key, kind=LinkKind(values["kind"])) if values else None

    def add(self, link: Link, entry: JournalEntry | None) -> None:
        """Store a new link, with its journal entry if any. Raises `DependencyUnavailable`."""
        values = {
            "link": link.key,
            **to_row(link, "key", "used_by"),
            "delete_after": link.expires_at + LINK_RETENTION,
        }
        created = self.tables.links.put(values, when="attribute_not_exists(#link)")
        self.tables.transact(created, *journal.rows(self.tables.journal, entry))

    def open_count(self, key: str, now: int) -> None:
        """Create or extend the row that counts the starts of a person without a link. Raises
        `DependencyUnavailable`."""
        opened = self.tables.links.update(key, setting={"delete_after": now + STARTS_KEPT})
        self.tables.write(opened)

    def count_start(
        self, key: str, now: int, *, window: int, most: int, counter: str = "start"
    ) -> bool:
        """Count one start of an authorization; False if the ``window`` (seconds) already has
        ``most`` (S16). Each window length needs its own ``counter``. Raises
        `DependencyUnavailable`."""
        current = now // window
        began, starts = f"{counter}_window", f"{counter}s"
        again = self.tables.links.update(
            key,
            setting={began: current, starts: 1},
            when=f"attribute_exists(#link) AND (attribute_not_exists(#{began})"
            f" OR #{began} <> :set_{began})",
        )
        another = self.tables.links.update(
            key,
            adding={starts: 1},
            when=f"#{began} = :current AND #{starts} < :most",
            current=current,
            most=most,
        )
        return self.tables.try_write(another) or self.tables.try_write(again)

    def claim_mail(self, tenant: str, now: int, *, pause: int) -> bool:
        """Reserve one mail with a fresh link to the tenant's admin per ``pause`` (seconds)."""
        mailed = self.tables.links.update(
            f"mail#{tenant}",
            setting={"mailed_at": now, "delete_after": now + pause},
            when="attribute_not_exists(#mailed_at) OR #mailed_at <= :before",
            before=now - pause,
        )
        return self.tables.try_write(mailed)


class IntakeTables(Store):
    def switch_client(
        self, link: Link, used_by: str, client_id: str, secret_version: str, entry: JournalEntry
    ) -> None:
        """Use up the link and make the client the tenant's, in one transaction. The link must still
        work at ``entry.at``. Raises `Conflict`: ``links`` if it was used or has expired,
        ``tenants`` if the tenant is gone or its links were revoked; `DependencyUnavailable`."""
        serves, series = in_series(link.series)
        spent = self.tables.links.update(
            link.key,
            setting={"used_by": used_by},
            when="#kind = :intake AND attribute_not_exists(#used_by) AND #expires_at > :now",
            intake=LinkKind.INTAKE,
            now=int(entry.at),
        )
        switched = self.tables.tenants.update(
            link.tenant,
            setting={"client_id": client_id, "secret_version": secret_version},
            when=serves,
            **series,
        )
        self.tables.transact(spent, switched, journal.row(self.tables.journal, entry))


class SentMails(Store):
    def told(self, occasion: str) -> tuple[str, ...]:
        """Keys of the entries mailed for this occasion. Raises `DependencyUnavailable`."""
        row = self.tables.links.get(f"sent#{occasion}")
        return tuple(row.get("told", occasion).split()) if row else ()

    def note(self, occasion: str, told: Sequence[str], now: int) -> None:
        """Store the keys of all entries mailed for it. Raises `DependencyUnavailable`."""
        kept_until = now + SENT_MAIL_RETENTION
        row = {"link": f"sent#{occasion}", "told": " ".join(told), "delete_after": kept_until}
        self.tables.write(self.tables.links.put(row))


class RemindersSent(Store):
    def remind(self, entry: JournalEntry, since: int, now: int) -> bool:
        """Write a reminder to the journal, whose stream sends its mails, once per kind and end of a
        connection (``since``, epoch seconds). False if already written. Raises
        `DependencyUnavailable`."""
        key = f"reminded#{entry.tenant}#{since}#{entry.kind}"
        row = {"link": key, "delete_after": now + REMINDER_KEPT}
        once = self.tables.links.put(row, when="attribute_not_exists(#link)")
        return self.tables.try_transact(once, journal.row(self.tables.journal, entry))


class Proofs(Store):
    def spend(self, nonce: str, now: int) -> bool:
        """Use up a proof by its nonce; False if it was already used. Also False if our own first
        attempt succeeded but its answer was lost; the command has not run then. Raises
        `DependencyUnavailable`."""
        key = f"proof#{hashlib.sha256(nonce.encode()).hexdigest()}"
        row = {"link": key, "delete_after": now + CALLER_PROOF_RETENTION}
        unused = self.tables.links.put(row, when="attribute_not_exists(#link)")
        return self.tables.try_write(unused)


class FactsTickets(Store):
    """Tickets that `refresh_now` requires before it compares GoTo's answers with our assumptions.
    It can't tell who invokes it, but only the rep's function can write a ticket (S21)."""

    def issue(self, ticket: str, entry: JournalEntry) -> bool:
        """Store a ticket for the tenant of ``entry``, which says who asked. False if the last one
        was issued less than `FACTS_AGAIN` seconds ago. Raises `DependencyUnavailable`."""
        now = int(entry.at)
        issued = self.tables.links.put(
            {
                "link": f"#facts#{entry.tenant}",
                "ticket": digest(ticket),
                "asked_at": now,
                "delete_after": now + FACTS_AGAIN,
            },
            when="attribute_not_exists(#link) OR #asked_at <= :before",
            before=now - FACTS_AGAIN,
        )
        return self.tables.try_transact(issued, journal.row(self.tables.journal, entry))

    def spend(self, tenant: str, ticket: str, now: int) -> bool:
        """Use up a ticket; False if it is not the tenant's, was used, or has expired. Raises
        `DependencyUnavailable`."""
        spent = self.tables.links.update(
            f"#facts#{tenant}",
            remove=("ticket",),
            when="#ticket = :ticket AND #asked_at > :before",
            ticket=digest(ticket),
            before=now - FACTS_AGAIN,
        )
        return self.tables.try_write(spent)
