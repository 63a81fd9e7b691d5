"""All functions of `app.py` on tables in memory and moto, each with clients of its own, invoking
one another.

As it is deployed, but for what the test holds in its hands: clock, GoTo, STS, and what AWS refuses.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

import app as entry
from chalicelib.bootstrap import deployment as bootstrap
from chalicelib.rep.bulk_import import MOST_AT_ONCE
from infra.cfn_intrinsics import ACCOUNT, REGION, STACK
from infra.smoke import TICK
from tests.support.authorised import key_arn
from tests.support.aws import create_queues, create_tables, environment
from tests.support.memory import MemoryDynamoDB, answer_call
from tests.support.recorder import acting, acting_as, listen
from tests.support.site import PAGE, Site
from tests.support.sts import Sts, proved
from tests.support.stubs import Clock, ObedientGoTo, account_of
from tests.support.visitors import KEY, VISITOR_KEY

STAGE = "test"
SENDER = "goto@analytics.example"
REP = "reps@ha.example"

Handler = Callable[[Any, Any], Any]

_HANDLERS: dict[str, Handler] = {
    "AfterRestore": entry.after_restore,
    "Announce": entry.announce,
    "Complete": entry.complete,
    "Intake": entry.intake,
    "MailFeedback": entry.mail_feedback,
    "RefreshLane": entry.refresh_lane,
    "RefreshNow": entry.refresh_now,
    "RefreshTick": entry.refresh_tick,
    "RepCommand": entry.rep_command,
    "Rescue": entry.rescue,
}


class Queued(NamedTuple):
    """An asynchronous invocation. ``at`` in epoch seconds."""

    function: str
    event: Any
    at: float
    attempts: int = 0


class Deployment:
    """``queued``: asynchronous invocations that have not run yet."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.goto = ObedientGoTo()
        self.queued: list[Queued] = []
        self.down: set[str] = set()
        self.refused: dict[str, str] = {}
        self._clients: dict[str, Any] = {}
        self._functions: dict[str, bootstrap.Deployment] = {}
        self._told: set[str] = set()
        self._session = botocore.session.get_session()
        self._session.set_credentials("test", "test")
        self._session.set_config_variable("region", REGION)
        listen(self._session)
        self._session.register("before-call", self._refuse)
        self._session.register("before-call", partial(answer_call, MemoryDynamoDB()))
        self._session.register("before-call.lambda.Invoke", self._invoked)
        self._session.register("before-call.sesv2.GetAccount", _mail_account)
        self.dynamodb: Any = self.client("dynamodb")
        self.tables = create_tables(self.dynamodb, f"{STACK}-")
        self.queues = create_queues(self.client("sqs"), f"{STACK}-")
        for name, value in self._environment().items():
            patch.setenv(name, value)
        self._hold(patch)

    def client(self, service: str) -> Any:
        """The test's own client, to look and to prepare."""
        if service not in self._clients:
            self._clients[service] = self._session.create_client(service, REGION)
        return self._clients[service]

    def invoke(self, function: str, event: Any) -> Any:
        """Invoke a function and wait."""
        context = SimpleNamespace(
            get_remaining_time_in_millis=lambda: 120_000,
            aws_request_id="a-request",
            invoked_function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}",
        )
        with acting_as(function):
            return _HANDLERS[function](event, context)

    def run_queued(self) -> None:
        """Run what was invoked asynchronously."""
        while self.queued:
            waiting = self.queued.pop(0)
            self.invoke(waiting.function, waiting.event)

    def tick(self) -> dict[str, int]:
        """The schedule's minute."""
        counts: dict[str, int] = self.invoke("RefreshTick", TICK)
        return counts

    def rep(self, command: str, **given: Any) -> dict[str, Any]:
        """One command of a rep's, which must be done."""
        sent = proved({"command": command, **given}, self.clock(), "RepCommand")
        answer: dict[str, Any] = self.invoke("RepCommand", sent)
        assert answer["ok"], answer
        return answer

    def take_over(self, names: Sequence[str]) -> None:
        """Import tenants with their refresh tokens, which are due at once."""
        lines = [_line(number, name) for number, name in enumerate(names, 1)]
        for start in range(0, len(lines), MOST_AT_ONCE):
            for command in ("import_check", "import_lines"):
                self.rep(command, lines=lines[start : start + MOST_AT_ONCE])

    def tenant(self, name: str) -> Site:
        """A tenant with a client and a link; the admin's browser, which has opened it."""
        self.rep("tenant_add", tenant=name, display_name=name, admin_email=f"a@{name}.example")
        self.rep("credentials_set", tenant=name, client_id=f"id-{name}", client_secret="s+/=")
        site = Site(self)
        site.open(self.link(name))
        return site

    def link(self, name: str) -> str:
        return str(self.rep("link_create", tenant=name)["url"]).rsplit("/", 1)[1]

    def come_back(self, site: Site, **answer: str) -> None:
        """Press the button; GoTo's redirect; what follows from it."""
        site.get(f"{PAGE}?{urlencode({'state': site.press()['state'], **answer})}")
        self.run_queued()

    def connected(self, name: str) -> Site:
        site = self.tenant(name)
        self.come_back(site, code="a-code")
        assert self.row("Tokens", name)["status"]["S"] == "connected"
        return site

    def row(self, table: str, tenant: str) -> dict[str, Any]:
        """A tenant's row as it is, past every function."""
        with acting_as(None):
            key = {"tenant": {"S": tenant}}
            found = self.dynamodb.get_item(TableName=f"{STACK}-{table}", Key=key)
        row: dict[str, Any] = found.get("Item", {})
        return row

    def set_row(self, table: str, tenant: str, **values: int | None) -> None:
        """What another worker, or a backup, has put there; None: gone."""
        row = self.row(table, tenant) or {"tenant": {"S": tenant}}
        kept = {name: {"N": str(value)} for name, value in values.items() if value is not None}
        row = {name: value for name, value in row.items() if name not in values} | kept
        self.put_row(table, row)

    def put_row(self, table: str, row: dict[str, Any]) -> None:
        """A whole row, past every function."""
        with acting_as(None):
            self.dynamodb.put_item(TableName=f"{STACK}-{table}", Item=row)

    def tenants_due(self) -> list[str]:
        """Everybody who is to be refreshed, now or later."""
        rows = self.dynamodb.scan(TableName=f"{STACK}-Grants")["Items"]
        return [row["tenant"]["S"] for row in rows if "next_refresh_at" in row]

    def delete_row(self, table: str, tenant: str) -> None:
        self.dynamodb.delete_item(TableName=f"{STACK}-{table}", Key={"tenant": {"S": tenant}})

    @contextmanager
    def without(self, *operations: str) -> Iterator[None]:
        """These operations of AWS are out of reach."""
        self.down |= set(operations)
        yield
        self.down -= set(operations)

    @contextmanager
    def refusing(self, operation: str, code: str) -> Iterator[None]:
        """AWS answers an operation with an error of that code."""
        self.refused[operation] = code
        yield
        del self.refused[operation]

    @contextmanager
    def refusing_mails(self) -> Iterator[None]:
        """SES takes no mail of this sender's."""
        mail = self.client("sesv2")
        mail.delete_email_identity(EmailIdentity=SENDER)
        yield
        mail.create_email_identity(EmailIdentity=SENDER)

    def bounce(self, tenant: str) -> dict[str, Any]:
        """A mail to a tenant's admin came back, as EventBridge brings SES's event."""
        detail = {
            "eventType": "Bounce",
            "bounce": {"bounceType": "Permanent"},
            "mail": {
                "tags": {"tenant": [tenant], "reader": ["admin"]},
                "destination": [f"a@{tenant}.example"],
            },
        }
        return TICK | {"detail-type": "Bounce", "source": "aws.ses", "detail": detail}

    def rescue(self) -> None:
        """Deliver what waits in the rescue queue."""
        sqs, url = self.client("sqs"), self.queues["RescueQueue"]
        while received := sqs.receive_message(QueueUrl=url).get("Messages"):
            [message] = received
            self.invoke("Rescue", {"Records": [{"body": message["Body"], "receiptHandle": "h"}]})
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def purge(self, queue: str) -> None:
        """Throw away what a queue holds: its delays go by the machine's clock, not by ours."""
        self.client("sqs").purge_queue(QueueUrl=self.queues[queue])

    def bring_waiting_mails(self) -> None:
        """What waits for SES, once."""
        sqs, url = self.client("sqs"), self.queues["MailsWaiting"]
        given = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        for message in given.get("Messages", ()):
            record = {"body": message["Body"], "eventSource": "aws:sqs", "receiptHandle": "h"}
            self.invoke("Announce", {"Records": [record]})
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def announce(self) -> None:
        """Bring the journal's new rows to `announce`, as the table's stream does."""
        while rows := self._untold():
            self._told |= set(map(change, rows))
            self.invoke("Announce", {"Records": [streamed(row) for row in rows]})

    def _untold(self) -> list[dict[str, Any]]:
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=f"{STACK}-Journal")
        rows = [row for page in pages for row in page["Items"]]
        return sorted(
            (row for row in rows if change(row) not in self._told),
            key=lambda row: str(row["at"]["S"]),
        )

    def _environment(self) -> dict[str, str]:
        self.client("events").create_event_bus(Name=f"{STACK}-Bus")
        mail = self.client("sesv2")
        mail.create_email_identity(EmailIdentity=SENDER)
        mail.create_configuration_set(ConfigurationSetName=f"{STACK}-MailConfiguration")
        self.client("secretsmanager").create_secret(Name=VISITOR_KEY, SecretString=KEY)
        functions = {
            "COMPLETE_FUNCTION": "Complete",
            "INTAKE_FUNCTION": "Intake",
            "REFRESH_LANE_FUNCTION": "RefreshLane",
            "REFRESH_NOW_FUNCTION": "RefreshNow",
        }
        return environment(
            self.tables,
            STAGE=STAGE,
            BUS=f"{STACK}-Bus",
            MAIL_FROM=SENDER,
            MAIL_CONFIGURATION=f"{STACK}-MailConfiguration",
            REP_MAIL=REP,
            RESCUE_QUEUE=self.queues["RescueQueue"],
            MAILS_WAITING=self.queues["MailsWaiting"],
            SECRETS_KEY=key_arn("SecretsKey"),
            TOKEN_RATE="1",
            VISITOR_IDENTITY="optional",
            VISITOR_KEY=VISITOR_KEY,
            **{variable: f"{STACK}-{name}" for variable, name in functions.items()},
        )

    def _hold(self, patch: pytest.MonkeyPatch) -> None:
        """Take clock, GoTo, STS and threads into the test's hands."""
        clock = self.clock
        held = SimpleNamespace(time=clock, monotonic=clock, sleep=clock.pass_)
        patch.setattr(entry, "time", held)
        patch.setattr("chalicelib.bootstrap.rep.Outbound", lambda connections: Sts(clock))
        patch.setattr(entry, "deployment", self._deployment)

    def _deployment(self) -> bootstrap.Deployment:
        """The running function's own, as each has a process of its own."""
        function = acting() or "APIHandler"
        if function not in self._functions:
            self._functions[function] = self._made()
        return self._functions[function]

    def _made(self) -> bootstrap.Deployment:
        live = bootstrap.live()
        return replace(
            live,
            client=cache(partial(bootstrap.client_of, self._session)),
            goto=self._goto_for(live),
            threads=lambda threads: map,
            clock=self.clock,
            monotonic=self.clock,
            pause=self.clock.pass_,
            write_metrics=self._measured,
        )

    def _goto_for(self, live: bootstrap.Deployment) -> bootstrap.GoToFor:
        return lambda connections, ask_deadline=None: self.goto

    def _measured(self, namespace: str, values: Mapping[str, float]) -> None:
        """Metrics are looked at where they are counted."""

    def _invoked(self, **told: Any) -> Any:
        """Lambda's answer to one function that invokes another."""
        params = told["params"]
        function = params["url_path"].split("/")[-2].removeprefix(f"{STACK}-")
        payload = json.loads(params["body"])
        if params["headers"].get("X-Amz-Invocation-Type") == "Event":
            self.queued.append(Queued(function, payload, self.clock.now))
            answer = None
        else:
            answer = self.invoke(function, payload)
        body = io.BytesIO(json.dumps(answer).encode())
        return SimpleNamespace(status_code=200, headers={}), {"StatusCode": 200, "Payload": body}

    def _refuse(self, **told: Any) -> None:
        if told["model"].name in self.down and acting() is not None:
            raise EndpointConnectionError(endpoint_url="https://aws.example")
        if (code := self.refused.get(told["model"].name)) and acting() is not None:
            raise ClientError({"Error": {"Code": code}}, told["model"].name)


def _mail_account(**_: Any) -> Any:
    """SES's answer of an account that may send to anybody; moto does not know it."""
    told = {"ProductionAccessEnabled": True, "SendingEnabled": True}
    return SimpleNamespace(status_code=200, headers={}), told


def _line(number: int, name: str) -> dict[str, Any]:
    """One of an import file."""
    return {
        "line": number,
        "tenant": name,
        "display_name": name,
        "admin_email": f"a@{name}.example",
        "client_id": f"id-{name}",
        "client_secret": "s",
        "refresh_token": f"refresh-{name}",
        "account_key": account_of(f"id-{name}"),
    }


def change(row: dict[str, Any]) -> str:
    """What tells one change of a row from the next; the heartbeat's is always the same row."""
    return str((row["at"]["S"], row["text"]["S"]))


def streamed(row: dict[str, Any]) -> dict[str, Any]:
    """A record of the stream."""
    return {
        "awsRegion": REGION,
        "eventID": "1",
        "eventName": "INSERT",
        "eventSourceARN": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/x/stream/y",
        "dynamodb": {
            "ApproximateCreationDateTime": 0,
            "Keys": {name: row[name] for name in ("tenant", "at")},
            "NewImage": row,
            "SequenceNumber": "1",
            "SizeBytes": 1,
            "StreamViewType": "NEW_IMAGE",
        },
    }
