"""STS: who has called, proved by the caller.

Lambda does not tell a function who invoked it. The rep's program therefore sends along a signed
request for `GetCallerIdentity`, which STS alone can check; it serves for minutes and, by a signed
header, for this deployment only. It proves a name and grants nothing: who may call at all is
decided by IAM. Any account can prove any name of its own, so one that is not ours is named along.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from chalicelib.errors import CallerRefused, DependencyUnavailable, ProviderUnreachable
from chalicelib.model import Caller
from chalicelib.outbound import Outbound
from chalicelib.times import CALLER_DEADLINE, CALLER_PROOF_LIFE

STAGE_HEADER = "x-ha-goto-stage"
LONGEST_PROOF = 8_192
"""Characters; session tokens make it long."""

_QUERY = re.compile(r"[A-Za-z0-9_.~%&=+/-]+")
_ARN = re.compile(r"<Arn>arn:[a-z0-9-]+:(?:iam|sts)::(\d{12}):([!-;=?-~]{1,256})</Arn>")
_REFUSED = "AWS does not confirm who you are: log in to AWS anew, and see that your clock is right."
_CLAIM = re.compile(r"[\w@./ -]{1,80}")


class Callers:
    """``endpoint`` is STS's own address: nothing that the caller sends names a host."""

    def __init__(
        self, endpoint: str, stage: str, outbound: Outbound, clock: Callable[[], float]
    ) -> None:
        self._endpoint = endpoint
        self._stage = stage
        self._outbound = outbound
        self._clock = clock

    def identify(self, payload: Mapping[str, Any], reference: str, account: str) -> Caller:
        """Who called. ``reference`` is the invocation's number, as CloudTrail has it where a trail
        keeps such calls; ``account`` our own, twelve digits.

        Whoever proves nothing is named so. Raises `CallerRefused` for a proof that does not hold,
        `DependencyUnavailable`.
        """
        proof, claim = payload.get("proof"), payload.get("by")
        if proof is None:
            named = claim if isinstance(claim, str) and _CLAIM.fullmatch(claim) else "somebody"
            return Caller(f"{named} (not verified)", reference)
        if not isinstance(proof, str) or not self._acceptable(proof):
            raise CallerRefused(_REFUSED)
        theirs, name = self._ask(proof)
        return Caller(name if theirs == account else f"{name} (account {theirs})", reference)

    def _ask(self, proof: str) -> tuple[str, str]:
        """The account and the name that STS tells of whoever signed."""
        try:
            answer = self._outbound.send(
                "GET",
                f"{self._endpoint.rstrip('/')}/?{proof}",
                {STAGE_HEADER: self._stage},
                CALLER_DEADLINE,
            )
        except ProviderUnreachable as error:
            raise DependencyUnavailable("sts", error.reason) from None
        if answer.status >= 500:
            raise DependencyUnavailable("sts", str(answer.status))
        found = _ARN.search(answer.body.decode(errors="replace"))
        if answer.status != 200 or found is None:
            raise CallerRefused(_REFUSED)
        return found[1], found[2]

    def _acceptable(self, proof: str) -> bool:
        """Whether it is the one question, signed for one deployment lately; STS decides the rest.

        It takes a signature for a quarter of an hour, whatever X-Amz-Expires says (as
        aws-iam-authenticator found, which proves callers in the same way).
        """
        if len(proof) > LONGEST_PROOF or not _QUERY.fullmatch(proof):
            return False
        given = parse_qs(proof)
        signed = given.get("X-Amz-SignedHeaders", [""])[0].split(";")
        return (
            given.get("Action") == ["GetCallerIdentity"]
            and STAGE_HEADER in signed
            and abs(self._clock() - _signed_at(given)) <= CALLER_PROOF_LIFE
        )


def _signed_at(given: Mapping[str, list[str]]) -> float:
    """In epoch seconds; 0 where it is not told, or twice."""
    try:
        (told,) = given.get("X-Amz-Date", [])
        return datetime.strptime(told, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
