"""S34: the local cloud answers its own programs only. A MiniStack as `make run` starts it."""

import http.client
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.guard import ACCOUNT, HEADER
from sandbox.keys import Key
from sandbox.ministack import REGION, MiniStack
from sandbox.processes import free_port

LIST_TABLES = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.ListTables",
}


@dataclass(frozen=True)
class Asked:
    """A request, and AWS's service that it would be signed for."""

    method: str
    path: str
    service: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=LIST_TABLES.copy)


KINDS = {
    "AWS's API": Asked("POST", "/", "dynamodb", b"{}"),
    "an object": Asked("GET", "/bucket-one/object", "s3"),
    "mails": Asked("GET", "/_ministack/ses/messages", "ses"),
    "readiness": Asked("GET", "/_ministack/ready", "ses"),
    "health": Asked("GET", "/health", "ses"),
    "a function's code": Asked("GET", "/_ministack/lambda-code/f", "lambda"),
    "the settings": Asked("POST", "/_ministack/config", "ses", b"{}"),
    "the end of all state": Asked("POST", "/_ministack/reset", "ses"),
    "the pages, by path": Asked("GET", "/_aws/execute-api/a/api/healthz", "execute-api"),
    "the pages, by old path": Asked("GET", "/restapis/a/api/_user_request_/x", "execute-api"),
    "a preflight": Asked("OPTIONS", "/", "dynamodb"),
    "no body asked for": Asked("HEAD", "/bucket-one", "s3"),
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    running = MiniStack(tmp_path_factory.mktemp("cloud"), free_port())
    running.session.client("s3", endpoint_url=running.endpoint).create_bucket(Bucket="bucket-one")
    yield running
    running.stop()


def ask(
    cloud: MiniStack, asked: Asked, headers: Mapping[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by lower-case name, body."""
    connection = http.client.HTTPConnection(cloud.endpoint.removeprefix("http://"), timeout=10)
    connection.request(asked.method, asked.path, asked.body or None, dict(headers))
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, said


def signed(
    cloud: MiniStack, asked: Asked, key: Key | None = None, host: str = "", **headers: str
) -> dict[str, str]:
    """The headers of a request as AWS's tools send it."""
    made = key or cloud.key
    address = f"http://{host}" if host else cloud.endpoint
    request = AWSRequest(
        asked.method, address + asked.path, {**asked.headers, **headers}, asked.body
    )
    credentials = Credentials(made.access_key, made.secret_key)
    SigV4Auth(credentials, asked.service, REGION).add_auth(request)
    return {**dict(request.headers.items()), **({"Host": host} if host else {})}


Caller = Callable[[MiniStack, Asked], Mapping[str, str]]

STRANGERS: dict[str, Caller] = {
    "no key": lambda _, asked: asked.headers,
    "MiniStack's own default key": lambda cloud, asked: signed(cloud, asked, Key("test", "test")),
    "a wrong secret": lambda cloud, asked: signed(
        cloud, asked, replace(cloud.key, secret_key="0" * 64)
    ),
    "a wrong access key": lambda cloud, asked: signed(
        cloud, asked, replace(cloud.key, access_key="LOCAL0000")
    ),
    "no access key": lambda cloud, asked: signed(cloud, asked, replace(cloud.key, access_key="")),
    "a wrong key in the header": lambda _, asked: {**asked.headers, HEADER: "0" * 64},
    "the access key in the header": lambda cloud, _: {HEADER: cloud.key.access_key},
    "an empty header": lambda _, asked: {**asked.headers, HEADER: ""},
    "an origin": lambda cloud, asked: {
        **signed(cloud, asked),
        "Origin": "https://evil.example",
    },
    "no origin to tell": lambda cloud, asked: {**signed(cloud, asked), "Origin": "null"},
    "a foreign host": lambda cloud, asked: signed(cloud, asked, host="evil.example:8002"),
    "another port's host": lambda cloud, asked: signed(cloud, asked, host="127.0.0.1:1"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stranger", STRANGERS)
def test_s34_whoever_lacks_the_key_is_refused_on_every_path(
    cloud: MiniStack, stranger: str, kind: str
) -> None:
    """S34: in the same words, which no page may read."""
    status, headers, said = ask(cloud, KINDS[kind], STRANGERS[stranger](cloud, KINDS[kind]))
    assert status == 403
    assert b"its own programs only" in said or KINDS[kind].method == "HEAD"
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize("kind", ["AWS's API", "mails", "readiness", "a preflight"])
@pytest.mark.parametrize("way", ["signed", "as functions sign", "header", "header with an origin"])
def test_s34_whoever_has_the_key_is_answered_and_no_page_may_read_it(
    cloud: MiniStack, kind: str, way: str
) -> None:
    """S34: the edge passes on whatever origin and host a browser sent."""
    asked = KINDS[kind]
    ways = {
        "signed": signed(cloud, asked),
        "as functions sign": signed(cloud, asked, replace(cloud.key, access_key=ACCOUNT)),
        "header": {**asked.headers, **cloud.key.header},
        "header with an origin": {
            **(signed(cloud, asked) if kind == "AWS's API" else asked.headers),
            **cloud.key.header,
            "Origin": "http://acme.localhost:8000",
        },
    }
    status, headers, _ = ask(cloud, asked, ways[way])
    assert status == 200
    assert not [name for name in headers if name.startswith("access-control")]


def test_s34_a_signature_serves_no_other_body_or_path(cloud: MiniStack) -> None:
    asked = KINDS["AWS's API"]
    headers = signed(cloud, asked)
    assert ask(cloud, asked, headers)[0] == 200
    assert ask(cloud, replace(asked, body=b'{"Limit": 1}'), headers)[0] == 403
    assert ask(cloud, replace(asked, path="/_ministack/config"), headers)[0] == 403


@pytest.mark.parametrize(("minutes", "status"), [(10, 200), (60, 403), (-60, 403)])
def test_s34_a_signature_is_good_for_minutes(
    cloud: MiniStack, monkeypatch: pytest.MonkeyPatch, minutes: int, status: int
) -> None:
    then = datetime.now(UTC) - timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: then)
    asked = KINDS["AWS's API"]
    assert ask(cloud, asked, signed(cloud, asked))[0] == status


def test_s34_a_proof_of_a_caller_is_taken_as_sts_takes_it(cloud: MiniStack) -> None:
    """S34: signed in its query; a changed one is refused."""
    address = f"{cloud.endpoint}/?Action=GetCallerIdentity&Version=2011-06-15"
    request = AWSRequest("GET", address)
    credentials = Credentials(cloud.key.access_key, cloud.key.secret_key)
    SigV4QueryAuth(credentials, "sts", REGION, expires=60).add_auth(request)
    path = str(request.url).removeprefix(cloud.endpoint)
    asked = Asked("GET", path, "sts")
    assert b"<Arn>" in ask(cloud, asked, {})[2]
    changed = path.replace("GetCallerIdentity", "GetSessionToken")
    assert ask(cloud, replace(asked, path=changed), {})[0] == 403


def test_s34_no_websocket_is_opened(cloud: MiniStack) -> None:
    wanted = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    asked = Asked("GET", "/_aws/execute-api/a/api", "execute-api")
    assert ask(cloud, asked, {**wanted, **cloud.key.header})[0] == 403


def test_s34_the_key_is_a_folder_s_own_and_this_user_s_alone(tmp_path: Path) -> None:
    key = Key.of(tmp_path)
    file = tmp_path / "key.json"
    assert Key.of(tmp_path) == key
    assert re.fullmatch(r"[0-9a-f]{64}", key.secret_key)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key.secret_key not in repr(key)
    (other := tmp_path / "other").mkdir()
    assert Key.of(other) != key
