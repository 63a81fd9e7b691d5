"""STS: who calls a rep's command, proved by the caller.

Lambda does not tell a function who invoked it. So the rep's program signs a request for STS's
`GetCallerIdentity`, which STS alone can check. The signature covers a hash of the whole command and
of the function it is for, so it serves this command only, once (S32). It proves a name and grants
nothing: IAM decides who may call at all. No part of a proof is ever logged.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from chalicelib.durations import CALLER_DEADLINE, CALLER_PROOF_LIFE
from chalicelib.dynamodb.links import Proofs
from chalicelib.errors import CallerRefused, DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.http import Outbound
from chalicelib.models import Actor

REQUEST_HEADER = "x-ha-goto-request"
LONGEST_SESSION_TOKEN = 8_192
"""Characters. AWS names no limit; roles with many tags have about 2,000."""

_MEMBERS = {
    "access_key": re.compile(r"[A-Za-z0-9_]{1,128}"),
    "date": re.compile(r"[0-9]{8}T[0-9]{6}Z"),
    "nonce": re.compile(r"[0-9a-f]{32}"),
    "signature": re.compile(r"[0-9a-f]{64}"),
}
_SESSION_TOKEN = re.compile(rf"[!-~]{{1,{LONGEST_SESSION_TOKEN}}}")

_ARN = re.compile(r"<Arn>arn:[a-z0-9-]+:(?:iam|sts)::([0-9]{12}):([!-;=?-~]{1,256})</Arn>")
_CLAIM = re.compile(r"[\w@./ -]{1,80}", re.ASCII)
_IDENTITY_CENTER = re.compile(r"assumed-role/AWSReservedSSO_[^/]+_[0-9a-f]{16}/[^/]+")
"""AWS alone makes and changes such roles, and names their sessions after the directory's users."""

_UNREADABLE = "The proof of who you are can't be read. Please update ha-goto."
_REFUSED = "AWS does not confirm who you are. Log in to AWS again, in the account of this stage."
_USED = "This proof of who you are has already been used. Please run the command again."


class Function(NamedTuple):
    """The function that was called. It knows this of itself; nothing here comes from a caller."""

    region: str
    account: str
    name: str

    @classmethod
    def of(cls, arn: str) -> Function:
        """From the ARN in the invocation's context, which may end with a version or an alias."""
        parts = arn.split(":")
        return cls(region=parts[3], account=parts[4], name=parts[6])


@dataclass(frozen=True, kw_only=True)
class CallerIdentity:
    """``endpoint`` is STS's own address: nothing that the caller sends names a host."""

    endpoint: str
    outbound: Outbound
    proofs: Proofs
    clock: Callable[[], float]

    def identify(self, payload: Mapping[str, Any], reference: str, arn: str) -> Actor:
        """Who called. ``reference`` is the invocation's number, as CloudTrail has it where a trail
        keeps such calls; ``arn`` the function's own, as its context has it.

        A caller without a proof is named as not verified. Raises `CallerRefused` for a proof that
        does not hold, `DependencyUnavailable`.
        """
        if payload.get("proof") is None:
            claim = payload.get("by")
            named = claim if isinstance(claim, str) and _CLAIM.fullmatch(claim) else "somebody"
            return Actor(f"{named} (not verified)", reference)
        proof, function, now = _read(payload["proof"]), Function.of(arn), self.clock()
        _check_date(proof["date"], now)
        who = self._ask(proof, function, bound_to(function, proof["nonce"], payload))
        if not self.proofs.spend(proof["nonce"], int(now)):
            raise CallerRefused(_USED)
        return Actor(who if _is_given(who, function) else _own_word(who), reference, proved=True)

    def _ask(self, proof: Mapping[str, str], function: Function, bound: str) -> str:
        """The name that STS gives the signer: an identity of the function's own account.

        A signature that holds in one account therefore serves at no function of another.
        """
        url = f"{self.endpoint.rstrip('/')}/?{_question(proof, function.region)}"
        try:
            answer = self.outbound.send("GET", url, {REQUEST_HEADER: bound}, CALLER_DEADLINE)
        except ProviderUnreachable as error:
            raise DependencyUnavailable("sts", error.reason) from None
        if answer.status >= 500:
            raise DependencyUnavailable("sts", str(answer.status))
        found = _ARN.search(answer.body.decode(errors="replace"))
        if answer.status != 200 or found is None or found[1] != function.account:
            raise CallerRefused(_REFUSED)
        return found[2]


def bound_to(function: Function, nonce: str, payload: Mapping[str, Any]) -> str:
    """The value of the signed header: a hash of one command at one function.

    Without the nonce it would let anyone who sees it try out short secrets of the payload.
    """
    command = {name: value for name, value in payload.items() if name != "proof"}
    try:
        text = json.dumps([function.region, function.name, nonce, command], sort_keys=True)
    except RecursionError:
        raise CallerRefused(_UNREADABLE) from None
    return hashlib.sha256(text.encode()).hexdigest()


def _read(proof: object) -> dict[str, str]:
    """The members of a proof. Raises `CallerRefused` where one is missing, or not as it must look,
    or where there is one more."""
    given = proof if isinstance(proof, Mapping) else {}
    expected = _MEMBERS | ({"session_token": _SESSION_TOKEN} if "session_token" in given else {})
    if given.keys() != expected.keys():
        raise CallerRefused(_UNREADABLE)
    for name, pattern in expected.items():
        if not isinstance(given[name], str) or not pattern.fullmatch(given[name]):
            raise CallerRefused(_UNREADABLE)
    return dict(given)


def _check_date(date: str, now: float) -> None:
    """Raises `CallerRefused` for a proof that was kept, or one that was signed for later."""
    try:
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise CallerRefused(_UNREADABLE) from None
    apart = abs(now - signed_at)
    if apart > CALLER_PROOF_LIFE:
        raise CallerRefused(
            f"Your proof of who you are was signed {apart:.0f} s from now by our clock;"
            f" {CALLER_PROOF_LIFE} s are allowed. Set your clock by NTP and run the command again."
        )


def _question(proof: Mapping[str, str], region: str) -> str:
    """The presigned query that the caller must have signed, built here from end to end.

    STS reads each parameter once, as we wrote it. What the caller signed otherwise (another action,
    region, service, life, or set of headers) makes the signature false.
    """
    parameters = {
        "Action": "GetCallerIdentity",
        "Version": "2011-06-15",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{proof['access_key']}/{proof['date'][:8]}/{region}/sts/aws4_request",
        "X-Amz-Date": proof["date"],
        "X-Amz-Expires": str(CALLER_PROOF_LIFE),
        "X-Amz-SignedHeaders": f"host;{REQUEST_HEADER}",
        "X-Amz-Signature": proof["signature"],
    }
    if "session_token" in proof:
        parameters["X-Amz-Security-Token"] = proof["session_token"]
    return urlencode(parameters, safe="", quote_via=quote)


def _is_given(who: str, function: Function) -> bool:
    """Whether an administrator has given this name, so that the caller could not choose it.

    A role's session name is free, unless the role's trust policy decides it. Two kinds of roles do:
    Identity Center's, and the one of infra/rep-access.yaml, which has this name only if it does.
    """
    enforced = f"assumed-role/{function.name}-{function.region}/"
    return (
        who == "root"
        or who.startswith(("user/", enforced))
        or _IDENTITY_CENTER.fullmatch(who) is not None
    )


def _own_word(who: str) -> str:
    return f"{who} (as they call themselves)"
