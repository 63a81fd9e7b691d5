"""The service as a reader meets it: its table, and `refresh_now` behind a client of Lambda."""

import io
import json
import threading
from typing import Any

from ha_goto_tokens import TokenReader
from tests.support.world import World


class Invoked:
    """Stands in for boto3's Lambda client; runs the real use case of the world.

    One call at a time: what races inside the service is not the reader's to show.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[dict[str, Any]] = []
        self._lock = threading.RLock()

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        assert arguments["FunctionName"] == "refresh_now"
        event = json.loads(arguments["Payload"])
        with self._lock:
            self.asked.append(event)
            answer = self.world.on_demand(**event).to_dict()
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode())}


def reader_of(world: World, invoked: Invoked | None = None, **changed: Any) -> TokenReader:
    """A reader of the world's table, by the world's clock."""
    return TokenReader(
        table=world.settings.tokens_table,
        refresh_function="refresh_now",
        dynamodb=world.dynamodb,
        lambda_client=invoked or Invoked(world),
        clock=world.clock,
        monotonic=world.clock,
        **changed,
    )
