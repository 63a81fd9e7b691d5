"""MiniStack: the cloud on this machine, and the product's stack on it.

It gets the same requests as AWS, so the product can't tell the difference. Like AWS, it answers
only requests with its key (`guard.py`).
"""

import json
import secrets
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.credentials import ReadOnlyCredentials
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_lambda import LambdaClient
from mypy_boto3_logs import CloudWatchLogsClient

from infra import versions
from infra.package import STAGE, Package
from infra.stack import Stack
from sandbox.environment import CLOUD_VENV, private_folder, write_private
from sandbox.keys import Key
from sandbox.processes import Child, Failed

REGION = "us-east-1"
STACK = "ha-goto"
UNKNOWN_HERE = {"Firewall": "off", "Objectives": "off"}
"""Parameters that leave out what MiniStack does not support: `AWS::WAFv2::WebACLAssociation` and
`AWS::CloudWatch::CompositeAlarm`."""
_GUARD = Path(__file__).with_name("guard.py")
Note = Callable[[Child], None]
_POLL = {"Delay": 1, "MaxAttempts": 120}


class MiniStack:
    """One MiniStack process. It writes its state to its folder when it is stopped."""

    def __init__(self, folder: Path, port: int, note: Note = lambda _child: None) -> None:
        """Start it, pass its process to ``note``, and wait until it answers. Raises `Failed`."""
        self.endpoint = f"http://127.0.0.1:{port}"
        self.key = Key.of(folder)
        self.session = boto3.Session(self.key.access_key, self.key.secret_key, region_name=REGION)
        state = private_folder(folder / "cloud")
        _rewind_streams(state / "services" / "lambda.json")
        environment = {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            # Functions inherit the secret and sign with it.
            "AWS_ACCESS_KEY_ID": self.key.access_key,
            "AWS_SECRET_ACCESS_KEY": self.key.secret_key,
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state / "services"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state / "s3"),
            "TMPDIR": str(private_folder(state / "tmp")),
            # AWS's usual limit, which a deployment checks. The default depends on this machine.
            "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
            # At INFO it would repeat every line that a function prints.
            "LOG_LEVEL": "WARNING",
        }
        # -P: this folder's modules must not hide the interpreter's own.
        command = [str(CLOUD_VENV / "bin" / "python"), "-P", str(_GUARD)]
        self.process = Child("The local cloud", command, folder / "cloud.log", environment)
        note(self.process)
        try:
            self.process.wait_ready(f"{self.endpoint}/_ministack/ready", self.key.header)
        except BaseException:
            self.process.stop()
            raise

    def stop(self) -> None:
        """Stop it cleanly, so that it writes its state."""
        self.process.stop()

    @property
    def credentials(self) -> ReadOnlyCredentials:
        """Credentials of the local cloud's own programs."""
        return ReadOnlyCredentials(self.key.access_key, self.key.secret_key, None)

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return self.session.client("dynamodb", endpoint_url=self.endpoint)

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return self.session.client("logs", endpoint_url=self.endpoint)

    @cached_property
    def lambda_(self) -> LambdaClient:
        return self.session.client("lambda", endpoint_url=self.endpoint)

    @cached_property
    def stack(self) -> Stack:
        return Stack(self.session, STACK, self.endpoint, _POLL)

    def deploy(self, package: Package, parameters: Mapping[str, str]) -> dict[str, str]:
        """Create the stack, or update it if something changed; returns its outputs."""
        if not _is_current(self.stack.live, package, parameters):
            self.stack.publish(package)
            plan = self.stack.plan(package.digest, parameters)
            if plan is not None:
                self.stack.carry_out(plan)
        return self.stack.outputs

    def verify_sender(self, address: str) -> None:
        """Let SES send from this address, which the operator does once on AWS."""
        ses = self.session.client("sesv2", endpoint_url=self.endpoint)
        with suppress(ses.exceptions.AlreadyExistsException):
            ses.create_email_identity(EmailIdentity=address)

    def publish_reader(self, table: str, refresh_function: str) -> None:
        """Publish what a stage's reader-access stack does, for `TokenReader("main")`."""
        names = json.dumps({"table": table, "refresh_function": refresh_function})
        ssm = self.session.client("ssm", endpoint_url=self.endpoint)
        ssm.put_parameter(
            Name=f"/ha-goto/{STAGE}/reader", Value=names, Type="String", Overwrite=True
        )

    def shared_key(self, name: str) -> str:
        """The key that the service shares with another program, created if missing."""
        store = self.session.client("secretsmanager", endpoint_url=self.endpoint)
        with suppress(store.exceptions.ResourceExistsException):
            store.create_secret(Name=name, SecretString=secrets.token_urlsafe(32))
        return store.get_secret_value(SecretId=name)["SecretString"]

    def mails(self) -> list[dict[str, Any]]:
        """The mails that SES accepted, oldest first: `To`, `Subject`, `BodyText`, `BodyHtml`."""
        address = f"{self.endpoint}/_ministack/ses/messages"
        request = urllib.request.Request(address, headers=self.key.header)
        with urllib.request.urlopen(request) as answer:
            accounts: dict[str, list[dict[str, Any]]] = json.load(answer)["messages"]
        return [mail for mails in accounts.values() for mail in mails]

    def invoke(self, function: str, payload: Mapping[str, object]) -> Any:
        """Call a function and wait for its answer. Raises `Failed` if the function fails."""
        answer = self.lambda_.invoke(FunctionName=function, Payload=json.dumps(payload).encode())
        result = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            message = result.get("errorMessage") if isinstance(result, dict) else result
            raise Failed(f"{function} failed: {message}")
        return result


def _rewind_streams(file: Path) -> None:
    """Reset how far functions have read tables' streams. MiniStack saves these positions but not
    the streams, so after a start they would be beyond the end, and no mail would be sent."""
    if not file.exists():
        return
    state = json.loads(file.read_text())
    places = state["payload"]["dynamodb_stream_positions"]["data"]
    places.update(dict.fromkeys(places, 0))
    write_private(file, json.dumps(state))


def _is_current(stack: Any, package: Package, parameters: Mapping[str, str]) -> bool:
    """Whether the stack is complete and has this package and these parameters."""
    if stack is None or stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return False
    if versions.of(stack).live != package.digest:
        return False
    values = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}
    return all(values.get(key) == value for key, value in parameters.items())
