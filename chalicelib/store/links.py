"""The `Links` table: emailed links by their SHA-256, and how often each was used to start."""

from typing import TYPE_CHECKING, Any

from chalicelib.errors import Conflict
from chalicelib.model import JournalEntry, Link, LinkKind
from chalicelib.store import journal, wire
from chalicelib.times import LINK_KEPT

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables


class Links:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def get(self, key: str) -> Link | None:
        """The link stored under this digest. Raises `DependencyUnavailable`."""
        values = wire.get(self._tables.client, self._tables.links, {"link": key})
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
            "delete_after": link.expires_at + LINK_KEPT,
        }
        created = wire.put(self._tables.links, values, when="attribute_not_exists(#link)")
        told = [journal.row(self._tables.journal, entry)] if entry else []
        wire.transact(self._tables.client, [wire.Action("links", {"Put": created}), *told])

    def count_start(self, key: str, now: int, *, window: int, most: int) -> bool:
        """Count one start of an authorization; False when the link's share is used up (S16).

        ``window`` in seconds. Raises `DependencyUnavailable`.
        """
        current = now // window
        again = wire.update(
            self._tables.links,
            {"link": key},
            setting={"start_window": current, "starts": 1},
            when="attribute_exists(#link) AND (attribute_not_exists(#start_window)"
            " OR #start_window <> :set_start_window)",
        )
        another: dict[str, Any] = {
            "TableName": self._tables.links,
            "Key": {"link": {"S": key}},
            "UpdateExpression": "ADD #starts :one",
            "ConditionExpression": "#start_window = :current AND #starts < :most",
            "ExpressionAttributeNames": {"#starts": "starts", "#start_window": "start_window"},
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
            wire.update(
                self._tables.links,
                {"link": f"mail#{tenant}"},
                setting={"mailed_at": now, "delete_after": now + pause},
                when="attribute_not_exists(#mailed_at) OR #mailed_at <= :before",
                before=now - pause,
            )
        )

    def _holds(self, change: dict[str, Any]) -> bool:
        try:
            wire.change(self._tables.client, "links", change)
        except Conflict:
            return False
        return True
