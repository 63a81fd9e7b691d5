"""AWS's part in a year: tables that have bad hours, and a queue with SQS's times."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.errors import DependencyUnavailable
from tests.support.memory import MemoryDynamoDB
from tests.support.stubs import RescueBox
from tests.year.goto import Killed

OFFERED_AGAIN = 360
"""Seconds after which SQS offers a message again that could not be committed."""


class Tables(MemoryDynamoDB):
    """``down``: it answers nobody. ``refuses``: so many transactions, the next ones. ``throttles``
    is asked before each write. ``dies_after_write``: the process ends after the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.refuses = 0
        self.throttles: Callable[[], bool] = lambda: False
        self.dies_after_write = False
        self.operations = 0

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        self._pass()
        return super().get_item(**arguments)

    def query(self, **arguments: Any) -> dict[str, Any]:
        self._pass()
        return super().query(**arguments)

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        self._pass(writes=True)
        return super().put_item(**arguments)

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        self._pass(writes=True)
        return super().update_item(**arguments)

    def delete_item(self, **arguments: Any) -> dict[str, Any]:
        self._pass(writes=True)
        return super().delete_item(**arguments)

    def transact_write_items(self, **arguments: Any) -> dict[str, Any]:
        self._pass(writes=True)
        if self.refuses:
            self.refuses -= 1
            raise _refusal("ThrottlingException")
        answer = super().transact_write_items(**arguments)
        if self.dies_after_write:
            self.dies_after_write = False
            raise Killed
        return answer

    def forget(self, now: float) -> None:
        """Delete what has outlived its time, as DynamoDB does within days."""
        for name, row in self.rows():
            if "delete_after" in row and int(row["delete_after"]["N"]) < now:
                super().delete_item(TableName=name, Key=self.key_of(name, row))

    def _pass(self, *, writes: bool = False) -> None:
        self.operations += 1
        if self.down:
            raise _refusal("InternalServerError")
        if writes and self.throttles():
            raise _refusal("ThrottlingException")


class Queue(RescueBox):
    """A message is offered at once or after its delay, and again some minutes after it could not be
    committed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._due: dict[str, float] = {}

    def send(self, message: str, delay: int = 0) -> None:
        super().send(message, delay)
        self._due[message] = self._clock() + delay

    def offer(self, commit: Callable[[str], object]) -> int:
        """Hand over what is due; how many messages are gone."""
        gone = 0
        for message in [each for each in self.messages if self._due[each] <= self._clock()]:
            try:
                commit(message)
            except DependencyUnavailable:
                self._due[message] = self._clock() + OFFERED_AGAIN
            else:
                self.messages.remove(message)
                gone += 1
        return gone


def _refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "a bad hour"}}, "DynamoDB")
