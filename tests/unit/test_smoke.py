"""A deployment is tried through Lambda itself; what the operator's machine sees is a warning.

AWS: "Invoke", Lambda API Reference (``FunctionError``); "Set up Lambda proxy integrations", API
Gateway Developer Guide (the input format).
"""

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ReadTimeoutError

from infra.smoke import HEALTH, LOOK_SECONDS, Smoke, pages_of
from infra.stack import StackFailed

WELL = {"statusCode": 200, "body": '{"ok": true}'}
NOWHERE = "http://127.0.0.1:9/switched/off"
DOCTOR = {"page_url": None, "findings": [{"name": "mail", "well": True}]}


STATUS = "/admin/settings/activities/status"
FRONTS = {
    "acme": (401, b'{"processing": false}'),
    "login": (303, b""),
    "application": (200, b"<!doctype html><title>Activities</title>"),
    "gateway": (403, b'{"message":"Forbidden"}'),
    "guarded": (401, b'{"error": "login_required"}'),
}
"""By the first label of the host: what answers a tenant's page there. Only the first is ours."""


class Pages(BaseHTTPRequestHandler):
    """Well under the path `/api`; what `FRONTS` says at a tenant's page; nowhere else."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Authorization", ""))
        status, body = 200 if self.path == "/api/healthz" else 404, b'{"ok": true}'
        if self.path == STATUS:
            status, body = FRONTS[self.headers["Host"].partition(".")[0]]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the pages answer."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    server = HTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()


class Aws:
    """Lambda and EventBridge of a stage: what each function answers, and whether its rule is on."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {"web": WELL, "tick": {}, "rep": DOCTOR} | answers
        self.invoked: list[str] = []
        self.rule = "ENABLED"
        self.warned: list[str] = []
        self.waited = 0.0
        self.region_name = "us-east-1"

    def client(self, _name: str, **_: Any) -> Any:
        return self

    def get_credentials(self) -> Credentials:
        return Credentials("LOCAL", "secret")

    def get_function(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - as AWS spells it
        return {"Configuration": {"FunctionArn": f"arn:{FunctionName}"}}

    def list_rule_names_by_target(self, TargetArn: str) -> dict[str, Any]:  # noqa: N803
        return {"RuleNames": ["rule"] if TargetArn == "arn:tick" else []}

    def describe_rule(self, Name: str) -> dict[str, str]:  # noqa: N803
        return {"Name": Name, "State": self.rule}

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        self.invoked.append(FunctionName)
        answer = self.answers[FunctionName]
        if FunctionName == "web":
            assert json.loads(Payload) == HEALTH
        if isinstance(answer, Exception):
            raise answer
        failed = {"FunctionError": "Unhandled"} if answer == "error" else {}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **failed}

    def smoke(self, pages: str | None = None) -> Smoke:
        return Smoke(self, pages=pages, pause=self._pause, warn=self.warned.append)

    def _pause(self, seconds: float) -> None:
        self.waited += seconds


def outputs(**address: str) -> dict[str, str]:
    functions = {"WebFunction": "web", "RefreshTickFunction": "tick", "RepCommandFunction": "rep"}
    return {**functions, **address}


@pytest.mark.parametrize("elsewhere", [False, True], ids=["AWS", "the local cloud"])
def test_s34_only_the_local_cloud_is_asked_with_a_signature(
    pages: str, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    """S34: it answers nobody else; AWS's own pages are open, and learn of no key."""
    if elsewhere:
        monkeypatch.setenv("AWS_ENDPOINT_URL", pages.removesuffix("/api"))
    Aws().smoke(pages)(outputs())
    assert Pages.asked.pop().startswith("AWS4-HMAC-SHA256 Credential=LOCAL/") is elsewhere


def test_a_version_without_pages_url_is_looked_at_where_the_gateway_is(pages: str) -> None:
    """Chalice's own output ends with a slash."""
    aws = Aws()
    aws.smoke()(outputs(EndpointURL=f"{pages}/"))
    assert aws.invoked == ["web", "tick", "rep"]


def test_a_host_of_the_stack_s_own_is_looked_at_and_not_the_gateway(pages: str) -> None:
    aws = Aws()
    found = outputs(PagesURL=pages, EndpointURL=NOWHERE)
    assert pages_of(found) == pages
    aws.smoke()(found)
    assert aws.warned == ["The front was not tried: there is no tenant yet, and so no host."]


def test_what_this_machine_cannot_see_takes_no_version_back() -> None:
    """A proxy, no certificates, a DNS that lags: a sentence, after a minute of trying."""
    aws = Aws()
    aws.smoke(NOWHERE)(outputs())
    assert "Lambda says that all is well, but from this machine" in aws.warned[0]
    assert aws.waited == LOOK_SECONDS
    assert aws.invoked == ["web", "tick", "rep"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"web": "error"}, "The web function ended in an error"),
        ({"web": {"statusCode": 500, "body": "{}"}}, "not that it is well"),
        ({"web": {"statusCode": 200, "body": '{"ok": false}'}}, "not that it is well"),
        ({"tick": "error"}, "A tick ended in an error; the log of tick says why."),
        ({"tick": ReadTimeoutError(endpoint_url="https://lambda")}, "could not be tried"),
        (
            {"tick": ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke")},
            "could not be tried",
        ),
    ],
)
def test_what_lambda_says_is_bad_is_smoke(pages: str, broken: dict[str, Any], said: str) -> None:
    """Only for a `StackFailed` does a deployment go back; nothing is asked for twice."""
    aws = Aws(**broken)
    with pytest.raises(StackFailed, match=said):
        aws.smoke()(outputs(PagesURL=pages))
    assert len(aws.invoked) == len(set(aws.invoked))


def test_f19_no_tick_is_tried_while_its_rule_is_disabled(pages: str) -> None:
    """F19: an operator who restores a table has stopped refreshing; a deployment respects that."""
    aws = Aws()
    aws.rule = "DISABLED"
    aws.smoke()(outputs(PagesURL=pages))
    assert "tick" not in aws.invoked
    assert aws.warned[0] == "The rule of RefreshTick is disabled, so no tick was tried."


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("acme", None),
        ("login", "answers 303, and not as the service does."),
        ("application", "answers 200, and not as the service does."),
        ("gateway", "answers 403, and not as the service does."),
        ("guarded", "answers 401, and not as the service does."),
    ],
)
def test_a_front_that_leads_elsewhere_is_a_warning(pages: str, host: str, said: str | None) -> None:
    """And takes no version back: nothing of it is the deployment's doing."""
    url = f"{pages.removesuffix('/api').replace('127.0.0.1', f'{host}.localhost')}{STATUS}"
    aws = Aws(rep={"page_url": url, "findings": []})
    aws.smoke()(outputs(PagesURL=pages))
    wanted = [] if said is None else [f"The front does not lead to this stage: {url} {said}"]
    assert aws.warned == wanted
    assert aws.invoked == ["web", "tick", "rep"]


def test_a_front_that_answers_nothing_is_a_warning(pages: str) -> None:
    aws = Aws(rep={"page_url": NOWHERE, "findings": []})
    aws.smoke()(outputs(PagesURL=pages))
    [said] = aws.warned
    assert said.startswith(f"The front does not lead to this stage: {NOWHERE} does not answer (")


def test_what_the_doctor_finds_is_a_warning(pages: str) -> None:
    ill = {"name": "mail", "well": False, "told": "SES is in its sandbox.", "advice": "Ask AWS."}
    aws = Aws(rep={"page_url": None, "findings": [ill]})
    aws.smoke()(outputs(PagesURL=pages))
    assert aws.warned[0] == "mail: SES is in its sandbox. Ask AWS."
    aws = Aws(rep="error")
    aws.smoke()(outputs(PagesURL=pages))
    assert aws.warned == ["The doctor ended in an error; the log of rep says why."]
