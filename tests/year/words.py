"""Who hears of what, and when: mails, alarms, and whether there was a reason for them."""

from collections.abc import Callable, Mapping, Sequence

from chalicelib.aws.telemetry import SERVICE
from chalicelib.durations import DAY
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import Status
from chalicelib.notify.metrics import GROUPS
from tests.support.aws import template
from tests.support.cloudwatch import ALARM, OURS, CloudWatch
from tests.year.figures import Figures
from tests.year.troubles import HOUR, MINUTE, Window

WATCHED_FOR = 2 * HOUR
"""After a trouble, in which an alarm may still be its own."""

FIRST_ALARM = 6 * HOUR
"""From the beginning to the first look: by then every alarm has had its data."""

_STATES = (Status.REAUTHORIZATION_REQUIRED, Status.CREDENTIALS_REJECTED)
_KINDS = (Kind.SCOPE_MISSING, Kind.ACCESS_FORBIDDEN, Kind.ACCOUNT_GONE)

_HAPPENS = {*GROUPS, "RescueDepth"}
"""Metrics of what happens in one minute and not in the next."""

ALARMS = tuple(
    name
    for name, made in template()["Resources"].items()
    if made.get("Type") == ALARM and "AlarmActions" in made["Properties"]
)


class Words:
    """Causes that nobody has been told of yet, and CloudWatch."""

    def __init__(
        self, figures: Figures, windows: Sequence[Window], clock: Callable[[], float]
    ) -> None:
        self._figures = figures
        self._windows = windows
        self._clock = clock
        self._begin = clock()
        self._cloudwatch = CloudWatch(template()["Resources"])
        self._before: dict[str, Mapping[str, float]] = {}
        self._ringing: set[str] = set()
        self._first: dict[Window, float] = {}
        self.pending: dict[str, tuple[str, float]] = {}

    def wait_for(self, what: str, cause: str) -> None:
        """From now on somebody should be told of it. ``what``: a tenant, or its mail."""
        self.pending.setdefault(what, (cause, self._clock()))

    def over(self, tenant: str) -> None:
        """Nobody need be told any more."""
        for what in (tenant, f"client {tenant}", f"reader {tenant}"):
            self.pending.pop(what, None)

    def mailed(self, entry: JournalEntry) -> None:
        """A mail has been sent that tells of an entry."""
        if entry.kind == Kind.MAIL_BOUNCED:
            self._told(f"mail {entry.tenant}")
        elif entry.status in _STATES or entry.kind in _KINDS:
            for what in (entry.tenant, f"client {entry.tenant}", f"reader {entry.tenant}"):
                self._told(what)
        elif entry.kind == Kind.PROVIDER_DOWN:
            self._rang("the mail that GoTo is down")

    def measured(self, passed: float, values: Mapping[str, float], function: str = "") -> None:
        """Metrics of the last minute, ours or Lambda's of a function; in the others that have
        passed nothing happened, and the fleet was as in the minute before them."""
        namespace, of = ("AWS/Lambda", function) if function else (OURS, SERVICE)
        now = self._clock()
        for ago in range(int(passed) - MINUTE, 0, -MINUTE):
            self._cloudwatch.put(now - ago, self._before.get(of, {}), namespace, of)
        self._cloudwatch.put(now, values, namespace, of)
        self._before[of] = {name: values[name] for name in values.keys() - _HAPPENS}

    def look_at_alarms(self) -> None:
        """Which ring that did not."""
        now = self._clock()
        if now < self._begin + FIRST_ALARM:
            return
        ringing = {name for name in ALARMS if self._cloudwatch.rings(name, now)}
        for name in sorted(ringing - self._ringing):
            self._rang(f"the alarm {name}")
        self._ringing = ringing

    def near_trouble(self) -> bool:
        """Whether minutes matter to the alarms."""
        now = self._clock()
        return any(each.begin <= now < each.end + WATCHED_FOR for each in self._windows)

    def forget(self) -> None:
        """CloudWatch's past that no window reaches back to."""
        self._cloudwatch.forget(self._clock() - DAY / 2)

    def count(self, end: float) -> None:
        """What was told, and what nobody was told of within a day."""
        for window, seconds in self._first.items():
            self._figures.told.setdefault(window.trouble, []).append(seconds)
        left = {what: cause for what, (cause, since) in self.pending.items() if since < end - DAY}
        self._figures.counts["causes that nobody was told of"] = len(left)
        self._figures.faults += [f"nobody was told: {what}, {why}" for what, why in left.items()]

    def _told(self, what: str) -> None:
        cause, since = self.pending.pop(what, (None, 0.0))
        if cause is None:
            return
        now = self._clock()
        bad = any(each.begin < now and since < each.end + MINUTE for each in self._windows)
        told = self._figures.told.setdefault(f"{cause}, in a bad hour" if bad else cause, [])
        told.append(now - since)

    def _rang(self, name: str) -> None:
        """The first word of a trouble, or a false alarm."""
        now = self._clock()
        for window in self._windows:
            if window.begin <= now < window.end + WATCHED_FOR:
                self._first.setdefault(window, now - window.begin)
                self._figures.counts[f"{name}, {window.trouble}"] += 1
                return
        self._figures.counts["false alarms"] += 1
        self._figures.faults.append(f"{name} rang on day {(now - self._begin) / DAY:.2f}")
