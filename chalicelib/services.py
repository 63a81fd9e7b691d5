"""Builds the use cases, each at its first use, and what has another function do something.

Those that ask somebody outside AWS's libraries are built anew for each invocation, as their
connections are.
"""

import random
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from chalicelib.adapters import Adapters
from chalicelib.telemetry import measure, report
from chalicelib.times import CHECK_DEADLINE, INTAKE_TIMEOUT, REFRESH_TIMEOUT

if TYPE_CHECKING:
    from chalicelib.announce import Announcer
    from chalicelib.authorize import AdminVisit
    from chalicelib.by_hand import ByHand
    from chalicelib.caller import Callers
    from chalicelib.commands import Desk
    from chalicelib.complete import Completion
    from chalicelib.credentials import CredentialIntake, Outcome
    from chalicelib.doctor import Doctor
    from chalicelib.imports import Imports
    from chalicelib.intake import IntakeVisit
    from chalicelib.invitations import Invitations
    from chalicelib.mail_feedback import MailFeedback
    from chalicelib.measures import Metrics
    from chalicelib.on_demand import OnDemand
    from chalicelib.onboard import Onboarding
    from chalicelib.overview import Overview
    from chalicelib.refresh import Refresher
    from chalicelib.rescue import Rescue
    from chalicelib.restore import Restore
    from chalicelib.schedule import Schedule

IMPORT_THREADS = 8
"""Tenants taken over at a time."""


class Services(Adapters):
    @cached_property
    def visit(self) -> "AdminVisit":
        """The admin's pages."""
        from chalicelib.authorize import AdminVisit

        return AdminVisit(
            self.settings,
            tenants=self._tenants,
            links=self._links,
            requests=self._requests,
            connections=self._connections,
            journal=self._journal,
            start_completion=self._start_completion,
            clock=time.time,
        )

    def completion(self, time_left: Callable[[], float]) -> "Completion":
        """The end of an authorization request; one an invocation. ``time_left`` in seconds."""
        from chalicelib.complete import Completion

        return Completion(
            requests=self._requests,
            commits=self._commits,
            rescue_queue=self._rescue_queue,
            vault=self._vault,
            goto=self._goto(connections=1),
            clock=time.time,
            pause=time.sleep,
            time_left=time_left,
            report=_report,
        )

    def schedule(self, threads: int, time_left: Callable[[], float]) -> "Schedule":
        """The fleet's refresh; one an invocation. ``time_left`` in seconds."""
        from chalicelib.pool import pooled
        from chalicelib.schedule import Schedule

        return Schedule(
            connections=self._connections,
            provider=self._provider,
            fleet=self._fleet,
            rescue_queue=self._rescue_queue,
            refresher_for=partial(self._refresher, threads, time_left),
            run=pooled(threads),
            hand_over=self._start_lane,
            cap=self.settings.token_rate,
            clock=time.time,
            report=_report,
        )

    @cached_property
    def metrics(self) -> "Metrics":
        """What CloudWatch is told."""
        from chalicelib.measures import Metrics

        return Metrics(partial(measure, f"ha-goto-{self.settings.stage}"))

    def on_demand(self, time_left: Callable[[], float]) -> "OnDemand":
        """One tenant's refresh for HA's services; one an invocation. ``time_left`` in seconds."""
        from chalicelib.on_demand import OnDemand

        return OnDemand(
            connections=self._connections,
            provider=self._provider,
            refresher=self._refresher(1, time_left, self.settings.token_rate, time_left()),
            clock=time.time,
        )

    @property
    def rescue(self) -> "Rescue":
        """Commits what waits in the rescue queue."""
        from chalicelib.rescue import Rescue

        return Rescue(
            commits=self._commits,
            requests=self._requests,
            tenants=self._tenants,
            vault=self._vault,
            goto=self._goto(connections=1),
            clock=time.time,
        )

    @cached_property
    def restore(self) -> "Restore":
        """What is done after a table came back from a backup."""
        from chalicelib.restore import Restore
        from chalicelib.store.restored import RestoredTables

        tables = RestoredTables(self._tables)
        return Restore(
            tables=tables, connections=self._connections, tenants=self._tenants, clock=time.time
        )

    def _refresher(
        self,
        threads: int,
        time_left: Callable[[], float],
        rate: float,
        seconds: float,
        wait: float = 0.0,
    ) -> "Refresher":
        from chalicelib.pace import Pace
        from chalicelib.refresh import Refresher

        return Refresher(
            tenants=self._tenants,
            connections=self._connections,
            commits=self._commits,
            rescue_queue=self._rescue_queue,
            vault=self._vault,
            goto=self._goto(connections=threads),
            pace=Pace(rate, time.monotonic() + seconds, time.monotonic, time.sleep, wait),
            clock=time.time,
            random=random.random,
            pause=time.sleep,
            time_left=time_left,
            report=_report,
        )

    @property
    def desk(self) -> "Desk":
        """Everything that a rep's commands act through."""
        from chalicelib.commands import Desk
        from chalicelib.disconnect import Disconnecting
        from chalicelib.store.disconnections import Disconnections

        by_hand = self._by_hand
        onboarding = self._onboarding()
        return Desk(
            onboarding=onboarding,
            invitations=self.invitations,
            disconnecting=Disconnecting(
                tenants=self._tenants,
                connections=self._connections,
                disconnections=Disconnections(self._tables),
                vault=self._vault,
                withdraw_now=by_hand.withdraw,
                clock=time.time,
            ),
            overview=self._overview,
            imports=self._imports,
            refresh=by_hand.refresh,
            doctor=self._doctor(onboarding),
        )

    def _doctor(self, onboarding: "Onboarding") -> "Doctor":
        from chalicelib import checkup
        from chalicelib.doctor import Doctor, Part
        from chalicelib.store.connections import DUE_INDEX
        from chalicelib.store.glance import ENDING_INDEX

        names = self.settings
        parts = [
            Part(
                "GoTo",
                onboarding.look_at_goto,
                "Is GoTo down (status.goto.com)? Are the endpoints in the parameters right?",
            ),
            Part(
                "schedule",
                self._overview.look_at_ticks,
                "Is the rule of RefreshTick enabled, and does its log show errors?",
            ),
            Part(
                "refreshes",
                self._overview.look_at_overdue,
                "If GoTo answers: raise TokenRate, or look into the log of RefreshLane.",
            ),
            Part(
                "table Grants",
                lambda: checkup.indexes(
                    self._dynamodb, names.grants_table, (DUE_INDEX, ENDING_INDEX)
                ),
                f"Deploy the stack again; nothing is refreshed without its index `{DUE_INDEX}`.",
            ),
            Part(
                "secrets' key",
                lambda: checkup.key(self._aws("kms"), names.secret_key),
                "Enable the key, or cancel its deletion, in KMS at once.",
            ),
            Part(
                "mail",
                lambda: checkup.sender(self._aws("sesv2"), names.mail_from),
                "Verify the sender's domain in SES.",
            ),
        ]
        return Doctor(parts, settings=names, tenants=self._tenants, clock=time.time)

    @property
    def callers(self) -> "Callers":
        """Who calls a rep's command."""
        from chalicelib.caller import Callers
        from chalicelib.outbound import Outbound

        endpoint = self._aws("sts").meta.endpoint_url
        return Callers(endpoint, self.settings.stage, Outbound(connections=1), time.time)

    def _onboarding(self) -> "Onboarding":
        from chalicelib.onboard import Onboarding

        return Onboarding(
            self.settings,
            tenants=self._tenants,
            connections=self._connections,
            vault=self._vault,
            goto=self._goto(connections=1, ask_deadline=CHECK_DEADLINE),
            clock=time.time,
        )

    @cached_property
    def invitations(self) -> "Invitations":
        """Links for the customer's people."""
        from chalicelib.invitations import Invitations

        return Invitations(
            self.settings,
            tenants=self._tenants,
            links=self._links,
            journal=self._journal,
            clock=time.time,
        )

    @cached_property
    def _by_hand(self) -> "ByHand":
        from chalicelib.by_hand import ByHand

        return ByHand(
            tenants=self._tenants,
            connections=self._connections,
            journal=self._journal,
            ask=self._refresh_now,
            clock=time.time,
        )

    @cached_property
    def _imports(self) -> "Imports":
        from chalicelib.imports import Imports
        from chalicelib.pool import pooled
        from chalicelib.store.adoption import Adoption

        return Imports(
            self.settings,
            tenants=self._tenants,
            connections=self._connections,
            adoption=Adoption(self._tables),
            vault=self._vault,
            run=pooled(IMPORT_THREADS),
            clock=time.time,
        )

    @cached_property
    def _overview(self) -> "Overview":
        from chalicelib.overview import Overview
        from chalicelib.store.glance import Glance

        return Overview(
            tenants=self._tenants,
            connections=self._connections,
            journal=self._journal,
            fleet=self._fleet,
            glance=Glance(self._tables),
            provider=self._provider,
            clock=time.time,
        )

    @cached_property
    def intake_visit(self) -> "IntakeVisit":
        """The customer's pages at a link of the credential intake."""
        from chalicelib.intake import IntakeVisit

        return IntakeVisit(
            self.settings,
            tenants=self._tenants,
            links=self._links,
            take=self._take_credentials,
            clock=time.time,
        )

    @property
    def credential_intake(self) -> "CredentialIntake":
        """Checks and keeps what a customer entered."""
        from chalicelib.credentials import CredentialIntake
        from chalicelib.store.intake import IntakeTables

        return CredentialIntake(
            links=self._links,
            tables=IntakeTables(self._tables),
            connections=self._connections,
            vault=self._vault,
            goto=self._goto(connections=1, ask_deadline=CHECK_DEADLINE),
            client_auth=self.settings.client_auth,
            clock=time.time,
        )

    @cached_property
    def announcer(self) -> "Announcer":
        """What the journal says, told."""
        from chalicelib.announce import Announcer
        from chalicelib.bus import Bus
        from chalicelib.fleet import FleetCounts
        from chalicelib.mail import Mail
        from chalicelib.store.sent import Sent

        return Announcer(
            tenants=self._tenants,
            fleet=FleetCounts(
                tenants=self._tenants, connections=self._connections, fleet=self._fleet
            ),
            invitations=self.invitations,
            sent=Sent(self._tables),
            mail=Mail(
                self._aws("sesv2"), self.settings.mail_from, self.settings.mail_configuration
            ),
            bus=Bus(self._aws("events"), self.settings.bus),
            journal=self._journal,
            report=_report,
            clock=time.time,
            rep_mail=self.settings.rep_mail,
        )

    @cached_property
    def mail_feedback(self) -> "MailFeedback":
        """What became of mails."""
        from chalicelib.mail_feedback import MailFeedback

        return MailFeedback(tenants=self._tenants, journal=self._journal, clock=time.time)

    def _start_completion(self, key: str) -> None:
        from chalicelib.invoke import invoke_later

        invoke_later(self._lambda, self.settings.complete_function, {"request": key})

    def _start_lane(self, lane: int, rate: float, wait: float) -> None:
        from chalicelib.invoke import invoke_later

        payload = {"lane": lane, "rate": rate, "wait": wait}
        invoke_later(self._lambda, self.settings.refresh_lane_function, payload)

    def _take_credentials(self, payload: Mapping[str, str]) -> "Outcome":
        from chalicelib.credentials import Outcome
        from chalicelib.invoke import invoke_now

        client = self._aws("lambda", read_timeout=INTAKE_TIMEOUT, attempts=1)
        return Outcome(invoke_now(client, self.settings.intake_function, payload)["outcome"])

    def _refresh_now(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        from chalicelib.invoke import invoke_now

        client = self._aws("lambda", read_timeout=REFRESH_TIMEOUT, attempts=1)
        return invoke_now(client, self.settings.refresh_now_function, payload)


def _report(error: Exception) -> None:
    """One line of the log for what went on in spite of an error."""
    report("went on in spite of an error", error)
