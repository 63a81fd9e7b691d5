"""docs/contract.md: its examples in Node.js and PHP and its commands, run as a reader would run
them."""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jmespath
import pytest
from botocore.validate import ParamValidator
from flask import Flask, request

from chalicelib.models import Status
from chalicelib.refresh.on_demand import RefreshOutcome
from sandbox.environment import NODE, ROOT
from sandbox.goto.server import running
from tests.support.aws import create_tables, session

REGION = "us-east-1"
CONTRACT = (ROOT / "docs" / "contract.md").read_text()
EXAMPLES = ROOT / "docs" / "examples"
Example = Callable[..., dict[str, Any]]


class Cloud:
    """DynamoDB Local with a table of tokens, and a Lambda endpoint whose function renews them."""

    def __init__(self, endpoint: str, prefix: str) -> None:
        self.endpoint = endpoint
        self.dynamodb: Any = session().create_client("dynamodb", REGION, endpoint_url=endpoint)
        self.table = create_tables(self.dynamodb, prefix)["TOKENS_TABLE"]
        self.asked: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"outcome": "refreshed"}
        self.app = Flask(__name__)
        path = "/2015-03-31/functions/refresh_now/invocations"
        self.app.add_url_rule(path, view_func=self.invoke, methods=["POST"])

    def put(self, version: int, life: int = 3600, tenant: str = "acme", **changed: str) -> None:
        """A token that lives ``life`` seconds more."""
        now = int(time.time())
        text = {"tenant": tenant, "status": "connected", "access_token": "CANARY"} | changed
        numbers = {"schema": 1, "version": version, "issued_at": now, "expires_at": now + life}
        item = {name: {"S": value} for name, value in text.items() if value}
        numbers |= {name: int(value) for name, value in changed.items() if name == "schema"}
        item |= {name: {"N": str(value)} for name, value in numbers.items()}
        self.dynamodb.put_item(TableName=self.table, Item=item)

    def invoke(self) -> dict[str, Any]:
        self.asked.append(json.loads(request.get_data()))
        if "forbidden_version" in self.asked[-1]:
            self.put(7, usable="scope_missing")
            return {"schema": 1, "outcome": "alive", "version": 7}
        if self.answer["outcome"] == "refreshed":
            self.put(8)
            return {"schema": 1, "outcome": "refreshed", "version": 8}
        return {"schema": 1, "version": 7, "retry_after": None, **self.answer}


@pytest.fixture
def cloud(dynamodb_endpoint: str, request: pytest.FixtureRequest) -> Cloud:
    return Cloud(dynamodb_endpoint, re.sub(r"\W", "-", request.node.name) + "-")


def program_of(language: str, folder: Path) -> list[str]:
    """The example in a folder of its own, as its reader would run it."""
    if language == "php":
        program = shutil.which("php")
        if program is None or "curl" not in subprocess.check_output([program, "-m"], text=True):
            pytest.skip("PHP or its curl is missing: `make test` installs them where apt-get may.")
        shutil.copy(EXAMPLES / "token.php", folder)
        return [program, "token.php"]
    program = shutil.which("node")
    if program is None or not (NODE / "node_modules" / "@aws-sdk").exists():
        pytest.skip("AWS's SDK for Node.js is missing: `make test` installs it where npm is there.")
    shutil.copy(EXAMPLES / "token.mjs", folder)
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    return [program, "token.mjs"]


@pytest.fixture(params=["node", "php"])
def example(cloud: Cloud, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Example]:
    """Runs the example, beside what it needs."""
    command = program_of(request.param, tmp_path)
    with running(cloud.app) as lambda_endpoint:
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_LAMBDA": lambda_endpoint,
            "TOKENS_TABLE": cloud.table,
            "REFRESH_NOW": "refresh_now",
        }

        def run(*arguments: str) -> dict[str, Any]:
            environment["AWS_ENDPOINT_URL_DYNAMODB"] = cloud.endpoint
            done = subprocess.run(
                [*command, *arguments],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert "CANARY" not in done.stdout + done.stderr
            assert done.stdout, done.stderr
            found: dict[str, Any] = json.loads(done.stdout)
            return found

        yield run


def test_the_example_reads_renews_and_reports_a_rejection(cloud: Cloud, example: Example) -> None:
    cloud.put(7)
    assert example("acme")["version"] == 7
    assert cloud.asked == []
    assert example("acme", "rejected", "7")["version"] == 8
    cloud.put(7, life=350)
    assert example("acme")["version"] == 8
    cloud.put(7, life=-1, status="degraded")
    assert example("acme")["version"] == 8
    wanted = {"tenant": "acme", "min_valid_seconds": 360}
    assert cloud.asked == [{"tenant": "acme", "rejected_version": 7}, wanted, wanted]


def test_the_example_believes_the_service_rather_than_its_own_clock(
    cloud: Cloud, example: Example
) -> None:
    cloud.answer = {"outcome": "alive"}
    cloud.put(7, life=100)
    assert example("acme")["version"] == 7


def test_the_example_serves_what_lives_while_goto_is_down(cloud: Cloud, example: Example) -> None:
    cloud.answer = {"outcome": "later", "retry_after": 30}
    cloud.put(7, life=330)
    assert example("acme")["version"] == 7
    assert example("acme", "rejected", "7") == {"no_token": "later", "retry_after": 30}
    cloud.put(7, life=100)
    assert example("acme") == {"no_token": "later", "retry_after": 30}


def test_the_example_reports_a_403(cloud: Cloud, example: Example) -> None:
    cloud.put(7)
    assert example("acme", "forbidden", "7") == {"usable": "scope_missing"}
    assert cloud.asked == [{"tenant": "acme", "forbidden_version": 7}]
    assert example("acme")["version"] == 7


def test_s33_the_example_uses_nothing_of_another_tenants_item(
    cloud: Cloud, example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S33: what answers is not the table, and answers with somebody else's item."""
    answer = {"Item": {"tenant": {"S": "beta"}, "schema": {"N": "1"}, "status": {"S": "connected"}}}
    crossed = Flask("crossed")
    crossed.add_url_rule("/", view_func=lambda: answer, methods=["POST"])
    with running(crossed) as endpoint:
        monkeypatch.setattr(cloud, "endpoint", endpoint)
        assert example("acme") == {"no_token": "another_tenants_item", "retry_after": None}


def test_the_example_says_why_there_is_no_token(cloud: Cloud, example: Example) -> None:
    cloud.put(7, status="disconnected")
    assert example("acme") == {"no_token": "not_connected", "retry_after": None}
    assert example("nobody") == {"no_token": "not_connected", "retry_after": None}
    cloud.put(7, schema="2")
    assert example("acme") == {"no_token": "unknown_schema", "retry_after": None}
    cloud.put(7, status="reauthorization_required", life=600)
    assert example("acme")["version"] == 7
    cloud.put(7, status="reauthorization_required", life=10)
    assert example("acme") == {"no_token": "reauthorization_required", "retry_after": None}
    assert cloud.asked == []


def asked_of_aws(command: list[str]) -> tuple[str, dict[str, Any], str | None]:
    """A command as the AWS CLI reads it, which makes its options from botocore's own models:
    operation, parameters, query. Fails where an option or a parameter is not there."""
    _, service, operation, *options = command
    model = session().get_service_model(service).operation_model(operation.title().replace("-", ""))
    assert model.input_shape is not None
    members: Any = model.input_shape.members
    known = {re.sub(r"(?<!^)(?=[A-Z])", "-", member).lower(): member for member in members}
    given: dict[str, Any] = {}
    query = None
    while options:
        option = options.pop(0).removeprefix("--")
        if option == "query":
            query = options.pop(0)
        elif option == "cli-binary-format":
            assert options.pop(0) == "raw-in-base64-out"
        elif option == "/dev/stdout":
            assert not options
        elif members[known[option]].type_name == "boolean":
            given[known[option]] = True
        else:
            value = options.pop(0)
            plain = members[known[option]].type_name in ("string", "blob")
            given[known[option]] = value if plain else json.loads(value)
    report = ParamValidator().validate(given, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    return re.sub(r"(?<!^)(?=[A-Z])", "_", model.name).lower(), given, query


def test_the_commands_do_what_the_page_says(cloud: Cloud) -> None:
    cloud.put(7)
    cloud.put(3, tenant="beta")
    answers = []
    wishes = []
    commands = re.findall(r"```sh\n(aws .*)\n```", CONTRACT)
    for command in commands:
        operation, given, query = asked_of_aws(shlex.split(command))
        if operation == "invoke":
            wishes.append(json.loads(given["Payload"]))
            continue
        # The tests' table has a name of its own.
        named = json.loads(json.dumps(given).replace("$TOKENS", cloud.table))
        answer = getattr(cloud.dynamodb, operation)(**named)
        assert query is not None
        answers.append(jmespath.search(query, answer))
    assert len(commands) == 4
    assert wishes == [{"tenant": "acme", "min_valid_seconds": 600}]
    assert {name: answers[0][name] for name in ("status", "version")} == {
        "status": "connected",
        "version": "7",
    }
    assert sorted(answers[1]) == [["acme", "connected"], ["beta", "connected"]]
    assert answers[2] == "7"
    assert "CANARY" not in json.dumps(answers)


def test_the_page_names_every_state_and_outcome() -> None:
    tables = "\n".join(line for line in CONTRACT.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`([a-z_]+)`", tables))
    assert {str(one) for one in Status} | {str(one) for one in RefreshOutcome} <= named


def test_the_examples_of_what_is_asked_and_answered_are_json() -> None:
    *requests, answer, event = [
        json.loads(one) for one in re.findall(r"```json\n(.*?)\n```", CONTRACT, re.DOTALL)
    ]
    choices = [set(one) - {"tenant"} for one in requests]
    assert choices == [{"min_valid_seconds"}, {"rejected_version"}, {"forbidden_version"}]
    members = {"schema", "outcome", "tenant", "version", "expires_at", "retry_after", "detail"}
    assert set(answer) == members
    assert {"schema", "id", "kind", "status"} <= set(event)
    assert (answer["detail"] is None) == (answer["outcome"] != RefreshOutcome.INVALID)
