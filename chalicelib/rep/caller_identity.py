"""Finds out who calls a rep's command, from a proof that STS checks.

Lambda does not say who invoked a function. So the rep's program signs a `GetCallerIdentity`
request, which only STS can check. The signature covers a hash of the function and the whole
command, so it works for this command only, once (S32). It proves a name and grants nothing: IAM
decides who may call. No part of a proof is ever logged.
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
"""Characters. AWS publishes no limit; roles with many tags have about 2,000."""

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
"""Only AWS creates and changes these roles; it names their sessions after directory users."""

_UNREADABLE = "The proof of who you are can't be read. Please update ha-goto."
_REFUSED = "AWS does not confirm who you are. Log in to AWS again, in the account of this stage."
_USED = "This proof of who you are has already been used. Please run the command again."


class Function(NamedTuple):
    """The function that was called. Lambda supplies these values, never the caller."""

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
    """``endpoint``: STS's own address; nothing that the caller sends can change the host."""

    endpoint: str
    outbound: Outbound
    proofs: Proofs
    clock: Callable[[], float]

    def identify(self, payload: Mapping[str, Any], reference: str, arn: str) -> Actor:
        """The caller. ``reference``: the invocation's request id, also in CloudTrail if a trail
        records these calls; ``arn``: the function's own, from the invocation's context.

        A caller without a proof is named as not verified. Raises `CallerRefused` for an invalid
        proof, `DependencyUnavailable`.
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
        """STS's name for the signer, an identity of the function's own account.

        So a proof cannot be replayed at a function of the same name in another account.
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
    """The value of the signed header: a hash of one command for one function.

    Without the nonce, anyone who sees the hash could test guesses of a short secret in the payload.
    """
    command = {name: value for name, value in payload.items() if name != "proof"}
    try:
        text = json.dumps([function.region, function.name, nonce, command], sort_keys=True)
    except RecursionError:
        raise CallerRefused(_UNREADABLE) from None
    return hashlib.sha256(text.encode()).hexdigest()


def _read(proof: object) -> dict[str, str]:
    """The members of a proof. Raises `CallerRefused` if any is missing, malformed or unknown."""
    members = proof if isinstance(proof, Mapping) else {}
    expected = _MEMBERS | ({"session_token": _SESSION_TOKEN} if "session_token" in members else {})
    if members.keys() != expected.keys():
        raise CallerRefused(_UNREADABLE)
    for name, pattern in expected.items():
        if not isinstance(members[name], str) or not pattern.fullmatch(members[name]):
            raise CallerRefused(_UNREADABLE)
    return dict(members)


def _check_date(date: str, now: float) -> None:
    """Raises `CallerRefused` if a proof was signed over `CALLER_PROOF_LIFE` ago or ahead."""
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
    """The presigned query that the caller must have signed, rebuilt here from scratch.

    STS reads each parameter once, as we wrote it. If the caller signed anything else (another
    action, region, service, lifetime or set of headers), the signature is invalid.
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
    """Whether an AWS administrator assigned this name, so that the caller could not choose it.

    Callers choose a role's session name unless its trust policy sets the name. Two kinds of roles
    do: Identity Center's, and that of infra/rep-access.yaml if it is called <function>-<region>.
    """
    enforced = f"assumed-role/{function.name}-{function.region}/"
    return (
        who == "root"
        or who.startswith(("user/", enforced))
        or _IDENTITY_CENTER.fullmatch(who) is not None
    )


def _own_word(who: str) -> str:
    return f"{who} (as they call themselves)"
