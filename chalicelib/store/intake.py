"""What ends a credential intake: link spent, client switched, journal written, all or nothing."""

from typing import TYPE_CHECKING

from chalicelib.model import JournalEntry, Link, LinkKind
from chalicelib.store import journal, wire
from chalicelib.store.tenants import in_series

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables


class IntakeTables:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def switch_client(
        self, link: Link, used_by: str, client_id: str, secret_version: str, entry: JournalEntry
    ) -> None:
        """Spend the link and make the client the tenant's, in one transaction.

        ``entry.at`` is the moment at which the link must still be alive. Raises `Conflict`:
        ``links`` when it was used or has expired meanwhile, ``tenants`` when the tenant
        is gone or its links are; `DependencyUnavailable`.
        """
        serves, series = in_series(link.series)
        spent = wire.update(
            self._tables.links,
            {"link": link.key},
            setting={"used_by": used_by},
            when="#kind = :intake AND attribute_not_exists(#used_by) AND #expires_at > :now",
            intake=LinkKind.INTAKE,
            now=int(entry.at),
        )
        switched = wire.update(
            self._tables.tenants,
            {"tenant": link.tenant},
            setting={"client_id": client_id, "secret_version": secret_version},
            when=serves,
            **series,
        )
        wire.transact(
            self._tables.client,
            [
                wire.Action("links", {"Update": spent}),
                wire.Action("tenants", {"Update": switched}),
                journal.row(self._tables.journal, entry),
            ],
        )
