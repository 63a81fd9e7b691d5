"""The metrics that alarms, service levels (docs/slo.md) and the dashboard use. None is per tenant:
each name would be a metric of its own, and paid for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chalicelib.connect.complete import CompletionReport
from chalicelib.durations import CONNECT_IN_TIME, TICK_IN_TIME
from chalicelib.models import Reason
from chalicelib.refresh.outcomes import ENDINGS, Outcome
from chalicelib.refresh.scheduler import LaneReport, TickReport
from chalicelib.tokens.request_outcomes import ENDS

GROUPS = {
    "Refreshed": (Outcome.REFRESHED,),
    "Rescued": (Outcome.RESCUED,),
    "AnswersUnstored": (Outcome.LOST,),
    "ProviderFailures": (Outcome.TRANSIENT, Outcome.RATE_LIMITED),
    "OwnFailures": (Outcome.INTERNAL, Outcome.STORE_FAILED, Outcome.UNEXPECTED),
    "OutcomeUnknown": (Outcome.WAITING, Outcome.UNCONFIRMED),
    "NeedsPerson": ENDINGS,
}
"""Refresh outcomes by who must act. The others need nobody: another worker had the tenant, or the
minute was over."""

METRICS = (
    *GROUPS,
    "TickSeconds",
    "TicksOnTime",
    "OldestOverdueSeconds",
    "ProviderDown",
    "RescueDepth",
    "TenantsInUse",
    "TenantsWithoutToken",
    "TenantsNotUsable",
    "WithoutTokenPercent",
    "LeastSecondsToExpiry",
    "ConnectsLate",
    "ConnectsLatePercent",
    "ConnectSeconds",
    "MailsUnsent",
)
"""All our metrics. The dashboard must show each of them, and docs/costs.md its price."""


@dataclass(frozen=True)
class Metrics:
    """``write`` takes the metrics of one invocation, by name."""

    write: Callable[[Mapping[str, float]], None]

    def tick(self, report: TickReport, seconds: float) -> None:
        """A tick that took ``seconds``."""
        self._tell(of_lanes(report) | of_tick(report, seconds))

    def lane(self, report: LaneReport) -> None:
        """One lane of a large fleet."""
        self._tell(of_lanes(report))

    def on_demand(self, outcomes: Mapping[str, int]) -> None:
        """One refresh for a service; no metrics if the table alone could answer."""
        self._tell(of_refreshes(outcomes))

    def connect(self, report: CompletionReport | None) -> None:
        """One authorization request that came back from GoTo."""
        self._tell(of_connect(report))

    def mails(self, unsent: int) -> None:
        """Mails that SES did not take just now; they wait."""
        self._tell(of_mails(unsent))

    def _tell(self, values: Mapping[str, float]) -> None:
        """Raises `ValueError` for a name that is not in `METRICS`: nobody would see or price it."""
        if strange := values.keys() - set(METRICS):
            raise ValueError(f"not in METRICS: {sorted(strange)}")
        if values:
            self.write(values)


def of_refreshes(outcomes: Mapping[str, int]) -> dict[str, float]:
    """The metrics of some refreshes; empty if there is nothing to count."""
    counts = {
        name: float(sum(outcomes.get(each, 0) for each in kinds)) for name, kinds in GROUPS.items()
    }
    return {name: value for name, value in counts.items() if value}


def of_lanes(report: LaneReport) -> dict[str, float]:
    """The metrics of some lanes' refreshes, with the shortest token life that was left."""
    values, left = of_refreshes(report.outcomes), report.least_left
    return values if left is None else values | {"LeastSecondsToExpiry": float(left)}


def of_tick(report: TickReport, seconds: float) -> dict[str, float]:
    """The metrics of one tick that took ``seconds``, and of the fleet as the tick found it."""
    values = {
        "TickSeconds": seconds,
        "TicksOnTime": float(seconds < TICK_IN_TIME),
        "OldestOverdueSeconds": report.oldest_overdue,
        "ProviderDown": float(report.provider_down),
    }
    if report.waiting is not None:
        values["RescueDepth"] = float(report.waiting)
    without, in_use = report.without_token, report.in_use
    if without is None or in_use is None:
        return values
    values |= {"TenantsInUse": float(in_use), "TenantsWithoutToken": float(without)}
    values["TenantsNotUsable"] = float(report.not_usable)
    return values | ({"WithoutTokenPercent": 100 * without / in_use} if in_use else {})


def of_mails(unsent: int) -> dict[str, float]:
    """The metrics of one batch of mails; empty if all were sent."""
    return {"MailsUnsent": float(unsent)} if unsent else {}


def of_connect(report: CompletionReport | None) -> dict[str, float]:
    """The metrics of one authorization request, from the admin's return to the commit."""
    if report is None or not _counts(report.reason):
        return {}
    seconds = report.seconds
    late = seconds is None or seconds > CONNECT_IN_TIME
    values = {"ConnectsLate": float(late), "ConnectsLatePercent": 100.0 * late}
    if report.lost:
        values["AnswersUnstored"] = 1.0
    return values if seconds is None else values | {"ConnectSeconds": seconds}


def _counts(reason: Reason | None) -> bool:
    return reason is None or ENDS[reason].counts
