"""Everything that the local cloud holds, as text by the place where it stands.

Left out are the places that are made to hold a secret (`SECRET`), Secrets Manager and the rescue
queue.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.cloud import LocalCloud

SECRET = {
    "TokensTable": ("access_token",),
    "GrantsTable": ("refresh_token",),
    "AuthorizationRequestsTable": ("code", "verifier"),
}

OVERHEARD = "overheard"


def client(cloud: LocalCloud, service: str) -> Any:
    session: Any = cloud.aws.session  # its stubs want each name as a literal
    return session.client(service, endpoint_url=cloud.aws.endpoint)


def overhear(cloud: LocalCloud) -> None:
    """Have every event of the product's bus kept in a queue."""
    sqs, events = client(cloud, "sqs"), client(cloud, "events")
    address = sqs.create_queue(QueueName=OVERHEARD)["QueueUrl"]
    wanted = {"QueueUrl": address, "AttributeNames": ["QueueArn"]}
    arn = sqs.get_queue_attributes(**wanted)["Attributes"]["QueueArn"]
    bus = cloud.aws.stack.outputs["Bus"]
    pattern = json.dumps({"account": ["000000000000"]})
    events.put_rule(Name=OVERHEARD, EventBusName=bus, EventPattern=pattern)
    targets = [{"Id": OVERHEARD, "Arn": arn}]
    events.put_targets(Rule=OVERHEARD, EventBusName=bus, Targets=targets)


def of(cloud: LocalCloud) -> dict[str, str]:
    """Text by place."""
    stack = cloud.aws.stack.name
    cloudformation, cloudwatch = client(cloud, "cloudformation"), client(cloud, "cloudwatch")
    return {
        "logs": "\n".join(logged(cloud)),
        "mails": json.dumps(cloud.aws.mails()),
        "queues": "\n".join(_messages(cloud)),
        "stack": _text(cloudformation.describe_stacks()),
        "stack events": _text(cloudformation.describe_stack_events(StackName=stack)),
        "stack resources": _text(cloudformation.describe_stack_resources(StackName=stack)),
        "functions": _text(client(cloud, "lambda").list_functions()),
        "alarms": _text(cloudwatch.describe_alarms()),
        "dashboards": _text(cloudwatch.list_dashboards()),
        "rules": _text(client(cloud, "events").list_rules()),
        "the cloud's own log": (cloud.folder / "cloud.log").read_text(),
        "GoTo's log": (cloud.folder / "goto.log").read_text(),
        **dict(_tables(cloud)),
    }


def logged(cloud: LocalCloud) -> list[str]:
    """Every line that any function has written to its log, metrics among them."""
    logs = cloud.aws.logs
    lines: list[str] = []
    for group in logs.describe_log_groups()["logGroups"]:
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"]
        ):
            lines += [event["message"] for event in page["events"]]
    return lines


def holding(values: Iterable[str], places: Mapping[str, str]) -> set[tuple[str, str]]:
    """Which places hold which values, by the first letters of these."""
    return {
        (place, value[:4]) for place, text in places.items() for value in values if value in text
    }


def _messages(cloud: LocalCloud) -> Iterable[str]:
    sqs = client(cloud, "sqs")
    for address in sqs.list_queues().get("QueueUrls", ()):
        if "RescueQueue" in address:
            continue
        while found := sqs.receive_message(QueueUrl=address, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            yield from (message["Body"] for message in found)


def _tables(cloud: LocalCloud) -> Iterable[tuple[str, str]]:
    for output, name in cloud.aws.stack.outputs.items():
        if not output.endswith("Table"):
            continue
        rows = cloud.aws.dynamodb.scan(TableName=name)["Items"]
        kept = [
            {key: value for key, value in row.items() if key not in SECRET.get(output, ())}
            for row in rows
        ]
        yield output, _text(kept)


def _text(answer: Any) -> str:
    return json.dumps(answer, default=str)
