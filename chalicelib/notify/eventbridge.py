"""EventBridge: journal entries as events for HA's other systems."""

from __future__ import annotations

import json
from dataclasses import dataclass

from chalicelib.aws import clients
from chalicelib.aws.errors import aws_errors
from chalicelib.errors import DependencyUnavailable
from chalicelib.journal_entries import JournalEntry

SOURCE = "ha-goto"

SCHEMA = 1
"""Version of the events' detail, `docs/event.schema.json`."""


@dataclass(frozen=True, kw_only=True)
class Bus:
    client: clients.EventBridgeClient
    name: str

    def publish(self, entry: JournalEntry, key: str) -> None:
        """Send one entry as an event; ``key`` identifies it. Raises `DependencyUnavailable`."""
        detail = {
            "schema": SCHEMA,
            "id": key,
            "tenant": entry.tenant,
            "at": entry.at,
            "kind": entry.kind,
            "who": entry.who,
            "text": entry.text,
            "reference": entry.reference,
            "status": entry.status,
        }
        event: clients.PutEventsRequestEntryTypeDef = {
            "EventBusName": self.name,
            "Source": SOURCE,
            "DetailType": entry.kind,
            "Detail": json.dumps(detail),
        }
        with aws_errors("events"):
            answer = self.client.put_events(Entries=[event])
        if answer["FailedEntryCount"]:
            raise DependencyUnavailable("events", answer["Entries"][0].get("ErrorCode", "unknown"))
