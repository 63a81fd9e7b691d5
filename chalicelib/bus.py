"""EventBridge: journal entries as events for HA's other systems."""

import json
from typing import TYPE_CHECKING

from chalicelib.aws import aws_errors
from chalicelib.errors import DependencyUnavailable
from chalicelib.model import JournalEntry

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "ha-goto"

SCHEMA = 1
"""Version of the events' detail, `docs/event.schema.json`."""


class Bus:
    def __init__(self, client: "EventBridgeClient", name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, entry: JournalEntry, key: str) -> None:
        """Send one entry as an event; ``key`` tells a repetition.

        Raises `DependencyUnavailable`.
        """
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
        event: PutEventsRequestEntryTypeDef = {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": entry.kind,
            "Detail": json.dumps(detail),
        }
        with aws_errors("events"):
            answer = self._client.put_events(Entries=[event])
        if answer["FailedEntryCount"]:
            raise DependencyUnavailable("events", answer["Entries"][0].get("ErrorCode", "unknown"))
