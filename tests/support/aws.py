"""Tables and queues as the template declares them, on whatever engine a client talks to."""

import json
from functools import cache
from typing import Any

import botocore.session

from infra import cloudformation

REGION = "us-east-1"

_TABLE_VARIABLES = {
    "TOKENS_TABLE": "Tokens",
    "TENANTS_TABLE": "Tenants",
    "LINKS_TABLE": "Links",
    "AUTHORIZATION_REQUESTS_TABLE": "AuthorizationRequests",
    "GRANTS_TABLE": "Grants",
    "JOURNAL_TABLE": "Journal",
    "FLEET_TABLE": "Fleet",
}


@cache
def template() -> dict[str, Any]:
    """The template as it stands in infra/, before Chalice's part: read once, it takes a while."""
    return cloudformation.merged()


@cache
def session() -> botocore.session.Session:
    """One session for all tests: each new one reads botocore's service models again."""
    made = botocore.session.get_session()
    made.set_credentials("test", "test")  # else it keeps those of whoever was first, a mock's too
    return made


@cache
def client(service: str) -> Any:
    """One for all tests: making it takes longer than most calls of it."""
    made: Any = session()
    return made.create_client(service, REGION)


def create_tables(client: Any, prefix: str) -> dict[str, str]:
    """Create every table of the template; returns the environment that names them."""
    kept = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
    for name, resource in template()["Resources"].items():
        if resource.get("Type") == "AWS::DynamoDB::Table":
            properties = resource["Properties"]
            arguments = {key: properties[key] for key in kept if key in properties}
            client.create_table(TableName=prefix + name, **arguments)
    return {variable: prefix + name for variable, name in _TABLE_VARIABLES.items()}


def create_queues(client: Any, prefix: str) -> dict[str, str]:
    """Create every queue of the template; returns their addresses by their names there."""
    addresses: dict[str, str] = {}
    given: dict[str, str] = {}
    declared = template()["Resources"].items()
    queues = {name: made for name, made in declared if made.get("Type") == "AWS::SQS::Queue"}
    for name in sorted(queues, key=lambda name: "RedrivePolicy" in queues[name]["Properties"]):
        properties = queues[name]["Properties"]
        attributes = {
            key: str(properties[key])
            for key in ("MessageRetentionPeriod", "VisibilityTimeout")
            if key in properties
        }
        if redrive := properties.get("RedrivePolicy"):
            target, _ = redrive["deadLetterTargetArn"]["Fn::GetAtt"]
            policy = {**redrive, "deadLetterTargetArn": given[target]}
            attributes["RedrivePolicy"] = json.dumps(policy)
        made = client.create_queue(QueueName=prefix + name, Attributes=attributes)
        addresses[name] = made["QueueUrl"]
        wanted = {"QueueUrl": made["QueueUrl"], "AttributeNames": ["QueueArn"]}
        given[name] = client.get_queue_attributes(**wanted)["Attributes"]["QueueArn"]
    return addresses


def environment(tables: dict[str, str], **changed: str) -> dict[str, str]:
    """The environment of a function, with GoTo on an address that nothing answers."""
    return {
        "STAGE": "test",
        "TENANT_ORIGIN": "https://{tenant}.analytics.example",
        "GOTO_AUTHORIZE_URL": "https://goto.example/oauth/authorize",
        "GOTO_TOKEN_URL": "https://goto.example/oauth/token",
        "GOTO_REVOKE_URL": "https://goto.example/oauth/revoke",
        "GOTO_API_URL": "https://api.goto.example",
        "MAIL_FROM": "goto@analytics.example",
        "SECRETS_KEY": "alias/aws/secretsmanager",
        "BUS": "default",
        "RESCUE_QUEUE": "https://sqs.us-east-1.amazonaws.com/123456789012/rescue",
        "COMPLETE_FUNCTION": "complete",
        "REFRESH_LANE_FUNCTION": "refresh_lane",
        "INTAKE_FUNCTION": "intake",
        "REFRESH_NOW_FUNCTION": "refresh_now",
        **tables,
        **changed,
    }
