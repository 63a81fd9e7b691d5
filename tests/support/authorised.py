"""What AWS authorises for a call: actions, resources and context, and the key's part of it.

moto asks nobody for permission, and KMS for nothing. What a service asks KMS on the caller's behalf
is added here: for DynamoDB what AWS's own CDK grants for reads and for writes, for Secrets Manager
and SQS what their pages on permissions of keys name.
"""

from collections.abc import Iterator, Mapping
from email.utils import parseaddr
from functools import cache
from typing import Any, NamedTuple

from infra.cfn_intrinsics import ACCOUNT, REGION, STACK
from tests.support.aws import template

READ = ("kms:Decrypt", "kms:DescribeKey")
WRITE = ("kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo")
"""Of the table's key, by DynamoDB."""

KEPT = ("kms:Decrypt", "kms:GenerateDataKey")
"""Of a key, by Secrets Manager and SQS, for what they are to keep."""

_READS = ("BatchGetItem", "GetItem", "Query", "Scan")
_WRITES = ("DeleteItem", "PutItem", "UpdateItem")
_IN_A_TRANSACTION = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}

Parameters = Mapping[str, Any]


class Asked(NamedTuple):
    """One thing that AWS would authorise; hashable, and without a value of any row or secret."""

    action: str
    resource: str
    context: tuple[tuple[str, str | tuple[str, ...]], ...] = ()


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


def table_arn(logical: str) -> str:
    return arn("dynamodb", f"table/{STACK}-{logical}")


def function_arn(logical: str) -> str:
    return arn("lambda", f"function:{STACK}-{logical}")


def queue_arn(logical: str) -> str:
    return arn("sqs", f"{STACK}-{logical}")


def key_arn(logical: str) -> str:
    return arn("kms", f"key/{logical}")


def logical(name: str) -> str:
    """The logical id in a physical name: of ``t7-Grants`` it is ``Grants``."""
    return name.rpartition("-")[2]


@cache
def _key_of(kind: str, name: str) -> str | None:
    """The key that the template puts a table or queue under."""
    resource = template()["Resources"][name]
    assert resource["Type"] == kind
    properties = resource["Properties"]
    key = properties.get("SSESpecification", {}).get("KMSMasterKeyId")
    key = key or properties.get("KmsMasterKeyId")
    return str(key["Fn::GetAtt"][0]) if key else None


def authorised(service: str, operation: str, given: Parameters) -> Iterator[Asked]:
    """What AWS would ask IAM for one call of botocore. Fails for a call that is new here."""
    yield from _SERVICES[service](operation, given)


def through(service: str, key: str, actions: tuple[str, ...], *context: str) -> Iterator[Asked]:
    """A service's use of a key for the caller; ``context``: keys of the encryption context."""
    via = ("kms:ViaService", f"{service}.{REGION}.amazonaws.com")
    keys = ("kms:EncryptionContextKeys", context)
    for action in actions:
        # A key is described without an encryption context.
        known = (via,) if action == "kms:DescribeKey" else (via, keys)
        yield Asked(action, key_arn(key), known)


def _dynamodb(operation: str, given: Parameters) -> Iterator[Asked]:
    if operation == "TransactWriteItems":
        for part in given["TransactItems"]:
            [(kind, request)] = part.items()
            yield from _item(_IN_A_TRANSACTION[kind], request)
    elif operation == "BatchGetItem":
        for table, request in given["RequestItems"].items():
            yield from _item(operation, {"TableName": table, **request})
    elif operation == "DescribeTable":
        yield Asked("dynamodb:DescribeTable", table_arn(logical(given["TableName"])))
    else:
        yield from _item(operation, given)


def _item(operation: str, request: Parameters) -> Iterator[Asked]:
    table = logical(request["TableName"])
    index = f"/index/{request['IndexName']}" if "IndexName" in request else ""
    context: list[tuple[str, str | tuple[str, ...]]] = [
        ("dynamodb:Attributes", tuple(sorted(_attributes(request))))
    ]
    if operation in _READS:
        context.append(("dynamodb:Select", _selected(request, bool(index))))
    elif "ReturnValues" in request:
        context.append(("dynamodb:ReturnValues", request["ReturnValues"]))
    context.extend(_leading_keys(table, request))
    yield Asked(f"dynamodb:{operation}", table_arn(table) + index, tuple(context))
    key = _key_of("AWS::DynamoDB::Table", table)
    assert key
    writes = WRITE if operation in _WRITES else ()
    yield from through("dynamodb", key, READ + writes, *_TABLES_CONTEXT)


_TABLES_CONTEXT = ("aws:dynamodb:subscriberId", "aws:dynamodb:tableName")


def _attributes(request: Parameters) -> set[str]:
    """Names of the attributes that a request speaks of; what all are is not known to it."""
    keys = request.get("Keys") or [request.get("Key", {})]
    names = {*request.get("Item", {}), *(name for key in keys for name in key)}
    return names | set(request.get("ExpressionAttributeNames", {}).values())


def _leading_keys(table: str, request: Parameters) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Which rows, where a request names them: rows of the service's own by name, tenants as one."""
    schema = template()["Resources"][table]["Properties"]["KeySchema"]
    [hashed] = [part["AttributeName"] for part in schema if part["KeyType"] == "HASH"]
    keys = request.get("Keys") or [request.get("Key") or request.get("Item", {})]
    named = {value for key in keys for value in key.get(hashed, {}).values()}
    if named:
        known = {_known_key(name) for name in named}
        yield ("dynamodb:LeadingKeys", tuple(sorted(known)))


def _known_key(name: str) -> str:
    """A row of the service's own by its kind, where there are many of that kind."""
    if not name.startswith("#"):
        return "tenant"
    kind, many, _ = name[1:].partition("#")
    return f"#{kind}#some" if many and kind in ("account", "choice", "facts") else name


def _selected(request: Parameters, index: bool) -> str:
    if "ProjectionExpression" in request:
        return "SPECIFIC_ATTRIBUTES"
    everything = "ALL_PROJECTED_ATTRIBUTES" if index else "ALL_ATTRIBUTES"
    return str(request.get("Select", everything))


def _secretsmanager(operation: str, given: Parameters) -> Iterator[Asked]:
    """A secret's ARN ends with six characters that AWS makes up. Those of tenants are under a key
    of the stack's."""
    name = given.get("SecretId") or given["Name"]
    yield Asked(f"secretsmanager:{operation}", arn("secretsmanager", f"secret:{name}-AbCdEf"))
    actions: tuple[str, ...] = ()
    if not name.startswith("ha-goto/"):
        return
    if operation == "GetSecretValue":
        actions = ("kms:Decrypt",)
    elif operation in ("CreateSecret", "PutSecretValue", "UpdateSecret"):
        actions = KEPT
    yield from through("secretsmanager", "SecretsKey", actions, "SecretARN", "SecretVersionId")


def _sqs(operation: str, given: Parameters) -> Iterator[Asked]:
    queue = logical(given["QueueUrl"])
    yield Asked(f"sqs:{operation}", queue_arn(queue))
    key = _key_of("AWS::SQS::Queue", queue)
    actions = {"SendMessage": KEPT, "ReceiveMessage": ("kms:Decrypt",)}.get(operation, ())
    if key:
        yield from through("sqs", key, actions, "aws:sqs:arn")


def _lambda(operation: str, given: Parameters) -> Iterator[Asked]:
    assert operation == "Invoke"
    yield Asked("lambda:InvokeFunction", function_arn(logical(given["FunctionName"])))


def _sesv2(operation: str, given: Parameters) -> Iterator[Asked]:
    """A mail is authorised on its sender's identity and on its configuration set."""
    if operation == "GetAccount":  # AWS names no resource for it
        yield Asked("ses:GetAccount", "*")
        return
    sender = parseaddr(given.get("FromEmailAddress") or given["EmailIdentity"])[1]
    context: tuple[tuple[str, str], ...] = ()
    if operation == "SendEmail":
        context = (("ses:FromAddress", sender),)
    yield Asked(f"ses:{operation}", arn("ses", f"identity/{sender}"), context)
    if "ConfigurationSetName" in given:
        name = given["ConfigurationSetName"]
        yield Asked(f"ses:{operation}", arn("ses", f"configuration-set/{name}"), context)


def _events(operation: str, given: Parameters) -> Iterator[Asked]:
    for entry in given["Entries"]:
        yield Asked(f"events:{operation}", arn("events", f"event-bus/{entry['EventBusName']}"))


def _kms(operation: str, given: Parameters) -> Iterator[Asked]:
    yield Asked(f"kms:{operation}", key_arn(given["KeyId"].rpartition("/")[2]))


def _ssm(operation: str, given: Parameters) -> Iterator[Asked]:
    yield Asked(f"ssm:{operation}", arn("ssm", f"parameter{given['Name']}"))


_SERVICES = {
    "dynamodb": _dynamodb,
    "events": _events,
    "kms": _kms,
    "lambda": _lambda,
    "secretsmanager": _secretsmanager,
    "sesv2": _sesv2,
    "sqs": _sqs,
    "ssm": _ssm,
}
