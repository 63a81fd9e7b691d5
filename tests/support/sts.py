"""STS as far as it says who signed: it recomputes each signature from what it was really sent.

Written from AWS's description of Signature Version 4, not with botocore, which signs here.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, quote, urlsplit

from botocore.credentials import ReadOnlyCredentials

from chalicelib.goto.http import Outbound
from chalicelib.goto.oauth import Answer
from cli.proof import prove
from infra.cfn_intrinsics import ACCOUNT, REGION

ENDPOINT = f"https://sts.{REGION}.amazonaws.com"
OLDEST = 900
"""Seconds for which STS takes a signature, whatever X-Amz-Expires says."""


@dataclass(frozen=True)
class Person:
    """Someone with AWS credentials; ``arn`` is what STS calls them."""

    key: str
    arn: str
    token: str | None = None

    @property
    def secret(self) -> str:
        return f"secret-of-{self.key}"

    @property
    def credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials(self.key, self.secret, self.token)


ANN = Person("ANNSKEY", f"arn:aws:iam::{ACCOUNT}:user/ann")


class Sts(Outbound):
    """Knows these people by their keys. ``asked``: addresses and headers that it was sent."""

    def __init__(self, clock: Callable[[], float], *people: Person, region: str = REGION) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self._clock = clock
        self._people = {person.key: person for person in people or (ANN,)}
        self._region = region

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        seconds: float,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        if not url.startswith(ENDPOINT):
            return Outbound(connections=1).send(method, url, headers, seconds, form)
        self.asked.append((url, headers))
        person = self._signer(method, url, headers)
        if person is None:
            return Answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        return Answer(200, f"<Arn>{person.arn}</Arn>".encode())

    def _signer(self, method: str, url: str, headers: Mapping[str, str]) -> Person | None:
        pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
        given = dict(pairs)
        key, _, scope = given["X-Amz-Credential"].partition("/")
        person = self._people.get(key)
        signed_at = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        holds = (
            person is not None
            and len(given) == len(pairs)
            and given["Action"] == "GetCallerIdentity"
            and scope == f"{given['X-Amz-Date'][:8]}/{self._region}/sts/aws4_request"
            and abs(self._clock() - signed_at.timestamp()) <= OLDEST
            and given.get("X-Amz-Security-Token") == person.token
            and given["X-Amz-Signature"] == _signature(person, method, url, headers, given)
        )
        return person if holds else None


def _signature(
    person: Person, method: str, url: str, headers: Mapping[str, str], given: Mapping[str, str]
) -> str:
    sent = {
        "host": urlsplit(url).netloc,
        **{name.lower(): value for name, value in headers.items()},
    }
    names = given["X-Amz-SignedHeaders"].split(";")
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(given.items())
        if name != "X-Amz-Signature"
    )
    lines = [f"{name}:{sent.get(name, '')}" for name in names]
    empty = hashlib.sha256(b"").hexdigest()
    canonical = "\n".join(
        (method, urlsplit(url).path, query, *lines, "", given["X-Amz-SignedHeaders"], empty)
    )
    _, scope = given["X-Amz-Credential"].split("/", 1)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(("AWS4-HMAC-SHA256", given["X-Amz-Date"], scope, digest))
    key = f"AWS4{person.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


@contextmanager
def signing_at(now: float) -> Iterator[None]:
    """A rep's machine with that clock."""
    told = datetime.fromtimestamp(now, UTC)
    with mock.patch("botocore.auth.get_current_datetime", return_value=told):
        yield


def proved(
    asked: Mapping[str, Any],
    now: float,
    function: str,
    *,
    person: Person = ANN,
    region: str = REGION,
    endpoint: str = ENDPOINT,
) -> dict[str, Any]:
    """A command as the rep's program sends it, with its proof."""
    with signing_at(now):
        proof = prove(person.credentials, endpoint, region, function, asked)
    return {**asked, "proof": proof}
