"""The policies of the functions' roles, expanded from the table `infra/roles.yaml`.

What the table does not name is denied. `chalice package` gives every function a role that may only
log (`.chalice/logs-only.json`); these policies replace that one. If the table misspells a
function's name, it may still only log. `python -m infra.roles [FUNCTION]` prints the policies.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chalicelib.models import DETAILS
from infra import cloudformation

TABLE = Path(__file__).with_name("roles.yaml")

Statement = dict[str, Any]

_READS = {"batch_get": "BatchGetItem", "get": "GetItem", "query": "Query", "scan": "Scan"}
_CHANGES = {"delete": "DeleteItem", "put": "PutItem", "update": "UpdateItem"}
_WRITES = {**_CHANGES, "check": "ConditionCheckItem"}
_VERBS = {**_READS, **_WRITES, "describe": "DescribeTable"}

_READING = ["Decrypt", "DescribeKey"]
_WRITING = [*_READING, "Encrypt", "GenerateDataKey*", "ReEncrypt*"]
"""What DynamoDB does with a table's key on behalf of its caller."""

_RETURNED = {
    "": [],
    "ALL_NEW": ["ALL_NEW"],
    "ALL_OLD": ["ALL_OLD"],
    "UPDATED": ["UPDATED_NEW", "UPDATED_OLD"],
    "UPDATED_NEW": ["UPDATED_NEW"],
}
"""What a write may return, by the table's word for it; `NONE` is always allowed."""

_SECRETS_KEY = "SecretsKey"
_STORES = {"CreateSecret", "PutSecretValue"}
"""Actions that encrypt a secret. Secrets Manager also tries to decrypt with the key then."""

_TYPES = {
    "bus": "AWS::Events::EventBus",
    "key": "AWS::KMS::Key",
    "queue": "AWS::SQS::Queue",
    "table": "AWS::DynamoDB::Table",
}
_PARTS = {"tables", "secrets", "shared_keys", "queues", "invokes", "publishes", "mails", "looks_at"}


def policies() -> dict[str, list[Statement]]:
    """Each function's statements, by its logical id. Raises `ValueError` if the table names
    something that does not exist."""
    table = cloudformation.load(TABLE.read_text())
    template, sets = cloudformation.merged(), table["sets"] | {"DETAILS": [*DETAILS]}
    return {
        name: list(_Role(name, parts, sets, template).statements())
        for name, parts in table["functions"].items()
    }


def resources() -> dict[str, Any]:
    """The roles, for `chalice package` to merge over its own."""
    return {
        role(function): {"Properties": {"Policies": [_named(role(function), statements)]}}
        for function, statements in policies().items()
    }


def role(function: str) -> str:
    """The logical id that Chalice gives a function's role."""
    return f"{'ApiHandler' if function == 'APIHandler' else function}Role"


def document(statements: list[Statement]) -> dict[str, Any]:
    """Statements as a policy."""
    return {"Version": "2012-10-17", "Statement": statements}


def _named(name: str, statements: list[Statement]) -> dict[str, Any]:
    return {"PolicyName": f"{name}Policy", "PolicyDocument": document(statements)}


class _Role:
    """Expands one function's part of the table."""

    def __init__(
        self,
        function: str,
        parts: Mapping[str, Any],
        sets: Mapping[str, list[str]],
        template: Mapping[str, Any],
    ) -> None:
        for part in parts:
            _known(part, _PARTS, f"part of {function}")
        self._function, self._parts, self._sets = function, parts, sets
        self._template, self._made = template, template["Resources"]

    def statements(self) -> Iterator[Statement]:
        yield from self._logs()
        for table, rows in self._of("tables").items():
            for verbs, attributes in rows.items():
                yield from self._row(table, verbs, attributes)
        yield from self._table_keys()
        yield from self._secrets()
        yield from self._shared_keys()
        for queue, actions in self._of("queues").items():
            yield from self._queue(queue, actions)
        for other in self._parts.get("invokes", ()):
            yield _allow(f"Invoke{other}", "lambda", ["InvokeFunction"], _arn(other))
        for bus in self._parts.get("publishes", ()):
            self._properties(bus, "bus")
            yield _allow(f"PublishOn{bus}", "events", ["PutEvents"], _arn(bus))
        yield from self._mail()
        yield from self._looks()

    def _of(self, part: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._parts.get(part, {})
        return found

    def _properties(self, name: str, what: str) -> Mapping[str, Any]:
        """A resource's properties. Raises `ValueError` if the template has none of that kind."""
        kind = {one: made for one, made in self._made.items() if made.get("Type") == _TYPES[what]}
        found: Mapping[str, Any] = _known(name, kind, what)["Properties"]
        return found

    def _logs(self) -> Iterator[Statement]:
        """If the template does not name the function, CloudFormation makes up the name's end."""
        properties = self._made.get(self._function, {}).get("Properties", {})
        made_up = {"Fn::Sub": f"${{AWS::StackName}}-{self._function}-*"}
        name = properties.get("FunctionName", made_up)["Fn::Sub"]
        group = _here("logs", f"log-group:/aws/lambda/{name}:*")
        yield _allow("WriteLogs", "logs", ["CreateLogStream", "PutLogEvents"], group)
        yield _allow("SendTraces", "xray", ["PutTelemetryRecords", "PutTraceSegments"], "*")

    def _row(self, table: str, said: str, attributes: Any) -> Iterator[Statement]:
        verbs, returning = _spoken(said)
        if verbs == ["stream"] and attributes is None:
            yield from _stream(table)
            return
        actions = [_known(verb, _VERBS, "verb") for verb in verbs]
        name, _, keys = table.partition("@")
        sid = "".join(actions) + name.title().replace("/", "By") + ("Keyed" if keys else "")
        condition = self._condition(verbs, attributes, returning)
        if keys:
            condition = _both(condition, _leading(keys=keys))
        yield _allow(sid, "dynamodb", actions, _place(name), condition)

    def _condition(self, verbs: list[str], attributes: Any, returning: str) -> Statement | None:
        writes = set(verbs) & _WRITES.keys()
        if writes and not (isinstance(attributes, list) and set(verbs) == writes):
            raise ValueError(f"{self._function}: a row that writes lists its attributes.")
        if returning and not writes:
            raise ValueError(f"{self._function}: what a read returns is what it asks for.")
        if attributes is None:
            return None
        if isinstance(attributes, dict):
            return _leading(**attributes)
        returned = ["NONE", *_known(returning, _RETURNED, "returned value")]
        # A read of whole rows names no attributes, so `ForAllValues` alone would allow it.
        return {
            "ForAllValues:StringEquals": {"dynamodb:Attributes": self._expanded(attributes)},
            "Null": {"dynamodb:Attributes": "false"},
            "StringEqualsIfExists": {"dynamodb:ReturnValues": returned}
            if writes
            else {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
        }

    def _expanded(self, names: Iterable[str]) -> list[str]:
        """The attributes, with each set (a name in capitals) replaced by its members."""
        found: list[str] = []
        for name in names:
            inside = [name] if name.islower() else self._expanded(_known(name, self._sets, "set"))
            found += inside
        return found

    def _table_keys(self) -> Iterator[Statement]:
        changed: dict[str, bool] = {}
        for place, rows in self._of("tables").items():
            properties = self._properties(place.partition("@")[0].partition("/")[0], "table")
            key = properties["SSESpecification"]["KMSMasterKeyId"]["Fn::GetAtt"][0]
            verbs = {verb for row in rows for verb in _spoken(row)[0]}
            changed[key] = changed.get(key, False) or bool(verbs & _CHANGES.keys())
        for key, writes in changed.items():
            yield _through("DynamoDB", key, _WRITING if writes else _READING)

    def _secrets(self) -> Iterator[Statement]:
        if actions := self._parts.get("secrets", []):
            place = _here("secretsmanager", "secret:ha-goto/${Stage}/*")
            yield _allow("UseSecrets", "secretsmanager", actions, place)
            stores = ["GenerateDataKey"] if _STORES & set(actions) else []
            yield _through("SecretsManager", _SECRETS_KEY, ["Decrypt", *stores])

    def _shared_keys(self) -> Iterator[Statement]:
        """They are under Secrets Manager's own key, which any role that may read them can use."""
        for parameter, condition in self._of("shared_keys").items():
            _known(parameter, self._template["Parameters"], "parameter")
            _known(condition, self._template["Conditions"], "condition")
            # A secret's ARN ends with six characters that AWS chooses.
            place = _here("secretsmanager", f"secret:${{{parameter}}}-??????")
            allowed = _allow(f"Read{parameter}", "secretsmanager", ["GetSecretValue"], place)
            yield {"Fn::If": [condition, allowed, {"Ref": "AWS::NoValue"}]}

    def _queue(self, queue: str, actions: list[str]) -> Iterator[Statement]:
        properties = self._properties(queue, "queue")
        yield _allow(f"Use{queue}", "sqs", actions, _arn(queue))
        key = properties.get("KmsMasterKeyId")
        if key and {"ReceiveMessage", "SendMessage"} & set(actions):
            sends = ["GenerateDataKey*"] if "SendMessage" in actions else []
            yield _through("SQS", key["Fn::GetAtt"][0], ["Decrypt", *sends])

    def _mail(self) -> Iterator[Statement]:
        if self._parts.get("mails"):
            settings = _here("ses", "configuration-set/${MailConfiguration}")
            sender = {"StringEquals": {"ses:FromAddress": {"Ref": "MailFrom"}}}
            places = [_here("ses", "identity/*"), settings]
            yield _allow("SendMail", "ses", ["SendEmail"], places, sender)

    def _looks(self) -> Iterator[Statement]:
        for what in self._parts.get("looks_at", ()):
            if what == "mail":
                place = _here("ses", "identity/*")
                yield _allow("LookAtSender", "ses", ["GetEmailIdentity"], place)
                yield _allow("LookAtMailAccount", "ses", ["GetAccount"], "*")  # AWS allows no other
            else:
                self._properties(what, "key")
                yield _allow(f"LookAt{what}", "kms", ["DescribeKey"], _arn(what))


def _known(name: str, known: Any, what: str) -> Any:
    """The entry of that name, or the name in a mere list. Raises `ValueError` if it is missing."""
    if name not in known:
        raise ValueError(f"infra/roles.yaml: there is no {what} {name}.")
    return known[name] if isinstance(known, Mapping) else name


def _spoken(said: str) -> tuple[list[str], str]:
    """A row's verbs, and what a write may return."""
    verbs, _, returning = said.partition(" returning ")
    return verbs.split(", "), returning


def _stream(table: str) -> Iterator[Statement]:
    """`ListStreams` can't be limited to a resource."""
    reads = ["DescribeStream", "GetRecords", "GetShardIterator"]
    stream = {"Fn::GetAtt": [table, "StreamArn"]}
    yield _allow(f"Read{table}Stream", "dynamodb", reads, stream)
    yield _allow("ListStreams", "dynamodb", ["ListStreams"], "*")


def _leading(*, keys: str) -> Statement:
    """The condition that partition keys match the pattern ``keys``."""
    leading = "dynamodb:LeadingKeys"
    return {"ForAllValues:StringLike": {leading: [keys]}, "Null": {leading: "false"}}


def _both(one: Statement | None, other: Statement) -> Statement:
    """Two conditions at once."""
    first = one or {}
    named = first | other
    return {name: first.get(name, {}) | other.get(name, {}) for name in named}


def _through(service: str, key: str, actions: list[str]) -> Statement:
    """Allow the use of a key, but only through one service."""
    via = {"Fn::Sub": f"{service.lower()}.${{AWS::Region}}.amazonaws.com"}
    condition = {"StringEquals": {"kms:ViaService": via}}
    return _allow(f"{key}Through{service}", "kms", actions, _arn(key), condition)


def _allow(
    sid: str, service: str, actions: list[str], resource: Any, condition: Any = None
) -> Statement:
    named = [f"{service}:{action}" for action in actions]
    allowed = {"Sid": sid, "Effect": "Allow", "Action": named, "Resource": resource}
    return {**allowed, "Condition": condition} if condition else allowed


def _arn(name: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [name, "Arn"]}


def _place(table: str) -> dict[str, Any]:
    name, _, index = table.partition("/")
    return {"Fn::Sub": f"${{{name}.Arn}}/index/{index}"} if index else _arn(name)


def _here(service: str, rest: str) -> dict[str, str]:
    where = "${AWS::Region}:${AWS::AccountId}"
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:{service}:{where}:{rest}"}


def main(asked: list[str]) -> int:
    """Print the policies of the named functions, or of all."""
    by_function = policies()
    if strange := [name for name in asked if name not in by_function]:
        print(f"There is no function {strange[0]}: {', '.join(by_function)}.", file=sys.stderr)
        return 2
    for name in asked or by_function:
        print(f"{name}\n{json.dumps(document(by_function[name]), indent=2)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
