"""What a process run comes to: provider's notes, deaths and rows, put together. Pure.

Every count is derived from what was written down independently: by the provider, by the parent
that killed, by the workers that lived, and by the tables.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from chalicelib.durations import OUTBOUND_READ_TIMEOUT
from chalicelib.models import EndCause, Grant, Status
from chalicelib.refresh.outcomes import Outcome
from tests.faults.provider import Claim, Presented
from tests.faults.worker import Timing

SLACK = 0.5
"""Seconds by which a request may be noted after its sender died: it was on its way."""

UNASKED = {Outcome.INTERNAL, Outcome.TRANSIENT}
"""What a claim without a request may come to: no time was left to ask (F20), or no connection
could be made."""


class How(StrEnum):
    """How a worker ended without having been asked to."""

    KILLED = "killed"
    OUT_OF_TIME = "out of time"


@dataclass(frozen=True, slots=True)
class Death:
    """``at`` is of the same clock as the provider's notes, once the process is surely gone."""

    worker: str
    at: float
    how: How


class Again(StrEnum):
    """Why a generation and version was asked once more."""

    RETRY = "declared retry, under the same claim"
    AFTER_DEATH = "its worker had died before it could write"
    CONFIRMING = "to confirm a refusal"
    WITHOUT_REASON = "without a reason"


@dataclass(frozen=True, slots=True)
class Evidence:
    """``rows``: the grants at the end; ``newest``: each tenant's last refresh token as issued;
    ``returned``: what became of the claims whose worker lived; ``threads``: claims that one
    worker holds at a time at most."""

    presented: Sequence[Presented]
    deaths: Sequence[Death]
    returned: Mapping[Claim, str]
    rows: Mapping[str, Grant]
    newest: Mapping[str, str]
    timing: Timing
    threads: int


@dataclass(slots=True)
class Account:
    """Counts, and in ``wrong`` a sentence for each thing that must not be."""

    refreshes: int = 0
    claims: int = 0
    claims_given_back: int = 0
    claims_never_asked: int = 0
    deaths: Counter[How] = field(default_factory=Counter)
    times_presented: Counter[int] = field(default_factory=Counter)
    again: Counter[Again] = field(default_factory=Counter)
    lost: dict[str, float] = field(default_factory=dict)
    kept: int = 0
    wrong: list[str] = field(default_factory=list)

    def table(self) -> str:
        """For a person to read."""
        longest = max(self.lost.values(), default=0.0)
        lines: list[tuple[str, object]] = [
            ("refreshes committed", self.refreshes),
            ("claims made", self.claims),
            ("  given back, with too little time left to ask (F20)", self.claims_given_back),
            ("  whose worker died before it asked (F01)", self.claims_never_asked),
            *((f"workers {how}", self.deaths[how]) for how in How),
            ("refresh tokens presented once", self.times_presented[1]),
            ("  twice", self.times_presented[2]),
            ("  more often", sum(n for times, n in self.times_presented.items() if times > 2)),
            *((f"asked again: {why}", self.again[why]) for why in Again),
            ("tenants that hold the newest refresh token", self.kept),
            ("tenants lost between answer and write, each flagged", len(self.lost)),
            ("  longest from answer to death, seconds", f"{longest:.3f}"),
            ("what must not be", len(self.wrong)),
        ]
        return "\n".join(f"  {name:58} {value!s:>8}" for name, value in lines)


def judge(evidence: Evidence) -> Account:
    """Put the evidence together."""
    account = Account(deaths=Counter(death.how for death in evidence.deaths))
    account.times_presented.update(Counter(note.token for note in evidence.presented).values())
    for requests in _by_version(evidence.presented):
        _judge_repeats(evidence, account, requests)
    for tenant, row in evidence.rows.items():
        _judge_tenant(evidence, account, tenant, row)
    _judge_sums(evidence, account)
    return account


def _by_version(presented: Sequence[Presented]) -> list[list[Presented]]:
    """The requests of each tenant, generation and version."""
    asked: dict[tuple[str, int, int], list[Presented]] = {}
    for note in presented:
        key = (note.claim.tenant, note.claim.generation, note.claim.version)
        asked.setdefault(key, []).append(note)
    return list(asked.values())


def _judge_repeats(evidence: Evidence, account: Account, requests: list[Presented]) -> None:
    used: set[tuple[Again, Claim | None]] = set()
    for before, after in pairwise(requests):
        why = _why_again(evidence, before, after)
        # One retry a claim; one confirmation a version.
        once = (why, after.claim if why is Again.RETRY else None)
        if why is not Again.AFTER_DEATH and once in used:
            why = Again.WITHOUT_REASON
        used.add(once)
        account.again[why] += 1
        if why is Again.WITHOUT_REASON:
            account.wrong.append(f"{after.claim} asked again {why}, after {before.claim}")


def _why_again(evidence: Evidence, before: Presented, after: Presented) -> Again:
    passed = after.at - before.at
    if before.claim == after.claim:
        unanswered = before.issued is None and before.refused is None
        return (
            Again.RETRY if unanswered or passed >= OUTBOUND_READ_TIMEOUT else Again.WITHOUT_REASON
        )
    seconds = _died_holding(evidence, before)
    if seconds is not None and seconds < passed:
        return Again.AFTER_DEATH
    if before.refused is not None and passed > evidence.timing.confirm_pause - 1:
        return Again.CONFIRMING
    return Again.WITHOUT_REASON


def _died_holding(evidence: Evidence, asked: Presented) -> float | None:
    """Seconds from a request to its worker's death, if that came before the claim was settled."""
    if asked.claim in evidence.returned:
        return None
    for death in evidence.deaths:
        seconds = death.at - asked.at
        if death.worker == asked.claim.worker and -SLACK < seconds < evidence.timing.budget + SLACK:
            return max(0.0, seconds)
    return None


def _judge_tenant(evidence: Evidence, account: Account, tenant: str, row: Grant) -> None:
    account.refreshes += row.version - 1
    account.claims += row.fence
    ended = row.status is Status.REAUTHORIZATION_REQUIRED
    if row.refresh_token == evidence.newest[tenant]:
        account.kept += 1
        if ended:
            account.wrong.append(f"{tenant} was ended though its refresh token is the newest")
        elif row.status is not Status.CONNECTED or row.inflight is not None:
            account.wrong.append(f"{tenant} did not come to rest: {row.status}, {row.last_error}")
        return
    last = next(
        note for note in reversed(evidence.presented) if note.issued == evidence.newest[tenant]
    )
    seconds = _died_holding(evidence, last)
    unchanged_since = (row.generation, row.version) == (last.claim.generation, last.claim.version)
    if seconds is None or not unchanged_since:
        account.wrong.append(f"{tenant} was lost outside the window: {last.claim}")
    elif not ended or row.ended_by is not EndCause.RESPONSE_LOST:
        account.wrong.append(f"{tenant} was lost and is not flagged: {row.status}")
    account.lost[tenant] = seconds or 0.0


def _judge_sums(evidence: Evidence, account: Account) -> None:
    """What was counted in different places must agree."""
    issued = sum(note.issued is not None for note in evidence.presented)
    if issued != account.refreshes + len(account.lost):
        account.wrong.append(
            f"{issued} refresh tokens issued, {account.refreshes} stored, {len(account.lost)} lost"
        )
    asked = {note.claim for note in evidence.presented}
    given_back = [claim for claim in evidence.returned if claim not in asked]
    account.claims_given_back = len(given_back)
    account.claims_never_asked = account.claims - len(asked) - len(given_back)
    if not 0 <= account.claims_never_asked <= len(evidence.deaths) * evidence.threads:
        account.wrong.append(f"{account.claims_never_asked} claims vanished")
    account.wrong += [
        f"{claim} ended as {evidence.returned[claim]} without a request"
        for claim in given_back
        if evidence.returned[claim] not in UNASKED
    ]
    twice = Counter((claim.tenant, claim.fence) for claim in asked)
    account.wrong += [
        f"{tenant}: fence {fence} was held by {times} workers"
        for (tenant, fence), times in twice.items()
        if times > 1
    ]
