"""What AWS counts of a deployment: Lambda's, SQS's and API Gateway's metrics, minute by minute.

By the rules that AWS documents, from what the functions do on moto and what the packaged template
says of them: schedule, retries, ages, concurrency, queues.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chalicelib import config
from chalicelib.bootstrap.deployment import Deployment as Bootstrapped
from infra.smoke import TICK
from tests.support.cloudwatch import ALARM, OURS, CloudWatch
from tests.support.deployment import Deployment, Queued, change, streamed
from tests.support.recorder import acting
from tests.support.site import Answered, Site

LAMBDA, SQS, GATEWAY = "AWS/Lambda", "AWS/SQS", "AWS/ApiGateway"

MINUTE = 60


@dataclass(frozen=True)
class Batch:
    """Records of the journal's stream that go to `Announce` together."""

    rows: list[dict[str, Any]]
    at: float
    attempts: int = 0


class Counted(Deployment):
    """A deployment as AWS sees it; its minutes pass with `minutes`.

    ``scheduled``: the tick's rule is enabled. ``read``: somebody reads the journal's stream.
    Functions by what befalls them: ``killed``: Lambda ends them midway, for memory or time;
    ``unset``: a deployment left one of their settings out; ``throttled``: the account has no
    concurrency left.
    """

    def __init__(self, patch: pytest.MonkeyPatch, resources: Mapping[str, Any]) -> None:
        self.cloudwatch = CloudWatch(resources)
        self.scheduled = True
        self.read = True
        self.killed: set[str] = set()
        self.unset: set[str] = set()
        self.throttled: set[str] = set()
        self._resources = resources
        self._batches: list[Batch] = []
        super().__init__(patch)

    def _measured(self, namespace: str, values: Mapping[str, float]) -> None:
        self.cloudwatch.put(self.clock.now, values, namespace)

    def _count(self, namespace: str, of: str, **values: float) -> None:
        self.cloudwatch.put(self.clock.now, values, namespace, of)

    def _deployment(self) -> Bootstrapped:
        if acting() in self.unset:
            config.load({name: value for name, value in os.environ.items() if name != "STAGE"})
        return super()._deployment()

    @property
    def ringing(self) -> set[str]:
        """Alarms that tell somebody by themselves, and would now."""
        telling = {
            name
            for name, made in self._resources.items()
            if made.get("Type") == ALARM and "AlarmActions" in made["Properties"]
        }
        return self.cloudwatch.ringing(self.clock.now) & telling

    def invoke(self, function: str, event: Any) -> Any:
        """One attempt of an invocation."""
        failed = True
        try:
            if function in self.killed:
                raise MemoryError(function)
            answer = super().invoke(function, event)
            failed = False
        finally:
            self._count(LAMBDA, function, Invocations=1, Errors=failed)
        return answer

    def mend(self) -> None:
        """Whatever it was is over."""
        self.scheduled = self.read = True
        for befallen in (self.down, self.killed, self.unset, self.throttled, self.goto.script):
            befallen.clear()

    def bring(self, function: str, event: Any) -> None:
        """An event that a service of AWS brings, asynchronously."""
        self.queued.append(Queued(function, event, self.clock.now))

    def attempt(self, function: str, event: Any) -> bool:
        """The same, by a service of AWS; whether it went well."""
        try:
            self.invoke(function, event)
        except Exception:  # noqa: BLE001 - whatever it is, Lambda counts it
            return False
        return True

    def at_once(self, function: str, events: Iterable[Any]) -> None:
        """Invocations at the same moment, of which no more run than are reserved for them."""
        reserved = self._resources[function]["Properties"]["ReservedConcurrentExecutions"]
        for number, event in enumerate(events):
            if number < reserved:
                self.attempt(function, event)
            else:
                self._count(LAMBDA, function, Throttles=1)

    def visit(self, site: Site, address: str) -> Answered:
        """A page of the web function, through the gateway."""
        answer = site.get(address)
        self._count(GATEWAY, OURS, **{"5XXError": answer.status >= 500})
        return answer

    def minutes(self, number: int) -> None:
        """Schedule, asynchronous invocations, the journal's stream and the queues, each minute."""
        for _ in range(number):
            self.clock.pass_(MINUTE)
            if self.scheduled:
                self.bring("RefreshTick", TICK)
            self.run_queued()
            if self.read:
                self.announce()
            self._deliver()
            self._deliver_mails()
            self._look_at_queues()

    def run_queued(self) -> None:
        """As asynchronous invocations run: again after a failure, until too often or too old."""
        waiting, self.queued[:] = self.queued[:], []
        for each in waiting:
            settings = self._resources[each.function]["Properties"]["EventInvokeConfig"]
            attempts = each.attempts
            if each.function in self.throttled:
                self._count(LAMBDA, each.function, Throttles=1)
            elif self.attempt(each.function, each.event):
                continue
            else:
                attempts += 1
            old = self.clock.now - each.at >= settings["MaximumEventAgeInSeconds"]
            if old or attempts > settings["MaximumRetryAttempts"]:
                self._count(LAMBDA, each.function, AsyncEventsDropped=1)
            else:
                self.queued.append(each._replace(attempts=attempts))

    def announce(self) -> None:
        """As a stream is read: in order, and what fails keeps the rest waiting."""
        rows, size = self._untold(), self._mapping["BatchSize"]
        self._told |= set(map(change, rows))
        for start in range(0, len(rows), size):
            self._batches.append(Batch(rows[start : start + size], self.clock.now))
        while self._batches and self._tell(self._batches.pop(0)):
            pass

    def _tell(self, batch: Batch) -> bool:
        """Whether it goes on: what fails is halved, comes again, and at last goes to a queue."""
        self._count(LAMBDA, "Announce", IteratorAge=(self.clock.now - batch.at) * 1_000)
        if self.attempt("Announce", {"Records": [streamed(row) for row in batch.rows]}):
            return True
        if half := len(batch.rows) // 2:
            self._batches[:0] = [
                Batch(batch.rows[:half], batch.at),
                Batch(batch.rows[half:], batch.at),
            ]
        elif batch.attempts < self._mapping["MaximumRetryAttempts"]:
            self._batches.insert(0, replace(batch, attempts=batch.attempts + 1))
        else:
            queue, _ = self._mapping["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"]
            where = json.dumps({"DDBStreamBatchInfo": {"batchSize": len(batch.rows)}})
            self.client("sqs").send_message(QueueUrl=self.queues[queue], MessageBody=where)
            return True
        return False

    @property
    def _mapping(self) -> dict[str, Any]:
        """How the journal's stream is read."""
        source = self._resources["Announce"]["Properties"]["Events"]["AnnounceDynamodbEventSource"]
        mapping: dict[str, Any] = source["Properties"]
        return mapping

    def _deliver(self) -> None:
        """What has been waiting for the queue's visibility timeout, to `Rescue`."""
        timeout = self._resources["RescueQueue"]["Properties"]["VisibilityTimeout"]
        if (self.clock.now // MINUTE) % (timeout // MINUTE) == 0:
            self.deliver()

    def deliver(self) -> None:
        """Everything in the rescue queue once, as its event source mapping does."""
        sqs, url = self.client("sqs"), self.queues["RescueQueue"]
        given = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        for message in given.get("Messages", ()):
            record = {"body": message["Body"], "receiptHandle": "h"}
            if self.attempt("Rescue", {"Records": [record]}):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def receive(self, times: int) -> None:
        """Everything in the rescue queue so many times, by a `Rescue` that never gets to run."""
        sqs, url = self.client("sqs"), self.queues["RescueQueue"]
        for _ in range(times):
            sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)

    def _deliver_mails(self) -> None:
        """Waiting mails, each time that they become visible; after a day to the next queue."""
        queue = self._resources["MailsWaiting"]["Properties"]
        if (self.clock.now // MINUTE) % (queue["VisibilityTimeout"] // MINUTE):
            return
        sqs, url = self.client("sqs"), self.queues["MailsWaiting"]
        given = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        for message in given.get("Messages", ()):
            record = {"body": message["Body"], "eventSource": "aws:sqs", "receiptHandle": "h"}
            if self.attempt("Announce", {"Records": [record]}):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _look_at_queues(self) -> None:
        sqs, wanted = self.client("sqs"), ["ApproximateNumberOfMessages"]
        for name, url in self.queues.items():
            told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
            visible = int(told["ApproximateNumberOfMessages"])
            self._count(SQS, name, ApproximateNumberOfMessagesVisible=visible)
