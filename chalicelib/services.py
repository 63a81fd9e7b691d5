"""Builds adapters and use cases from the settings, each at its first use.

A function loads only the libraries it needs: the web function never imports requests.
"""

import random
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from chalicelib import config
from chalicelib.telemetry import logger

if TYPE_CHECKING:
    from chalicelib.announce import Announcer
    from chalicelib.authorize import AdminVisit
    from chalicelib.commits import Commits
    from chalicelib.complete import Completion
    from chalicelib.credentials import CredentialIntake, Outcome
    from chalicelib.goto import GoTo
    from chalicelib.intake import IntakeVisit
    from chalicelib.on_demand import OnDemand
    from chalicelib.onboard import Onboarding
    from chalicelib.refresh import Refresher
    from chalicelib.rescue import Rescue
    from chalicelib.rescue_queue import RescueQueue
    from chalicelib.restore import Restore
    from chalicelib.schedule import Schedule
    from chalicelib.store.connections import Connections
    from chalicelib.store.journal import Journal
    from chalicelib.store.links import Links
    from chalicelib.store.provider import ProviderRow
    from chalicelib.store.requests import AuthorizationRequests
    from chalicelib.store.tenants import Tenants
    from chalicelib.vault import Vault

CONNECT_TIMEOUT = 3
READ_TIMEOUT = 8
"""Seconds for one call to an AWS service, tried three times at most."""

INTAKE_TIMEOUT = 20
"""Seconds for the intake's answer: longer than that function may run, shorter than the web's time.
It is asked once: what it was given is checked at GoTo."""

POOL = 32
"""Connections to one AWS service: at least as many as a tick has threads."""


class Services:
    @cached_property
    def settings(self) -> config.Settings:
        """The deployment's settings. Raises `Misconfigured`."""
        return config.load()

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
        from chalicelib.schedule import Schedule, pooled

        return Schedule(
            connections=self._connections,
            provider=self._provider,
            refresher_for=lambda rate, seconds: self._refresher(threads, time_left, rate, seconds),
            run=pooled(threads),
            hand_over=self._start_lane,
            cap=self.settings.token_rate,
            clock=time.time,
            report=_report,
        )

    def on_demand(self, time_left: Callable[[], float]) -> "OnDemand":
        """One tenant's refresh for HA's services; one an invocation. ``time_left`` in seconds."""
        from chalicelib.on_demand import OnDemand

        return OnDemand(
            connections=self._connections,
            provider=self._provider,
            refresher=self._refresher(1, time_left, self.settings.token_rate, time_left()),
            clock=time.time,
        )

    @cached_property
    def rescue(self) -> "Rescue":
        """Commits what waits in the rescue queue."""
        from chalicelib.rescue import Rescue

        return Rescue(
            commits=self._commits,
            requests=self._requests,
            vault=self._vault,
            goto=self._goto(connections=1),
            clock=time.time,
        )

    @cached_property
    def restore(self) -> "Restore":
        """What is done after a table came back from a backup."""
        from chalicelib.restore import Restore
        from chalicelib.store.restored import RestoredTables

        tables = RestoredTables(
            self._dynamodb,
            tokens=self.settings.tokens_table,
            grants=self.settings.grants_table,
            journal_table=self.settings.journal_table,
        )
        return Restore(tables=tables, connections=self._connections, clock=time.time)

    def _refresher(
        self, threads: int, time_left: Callable[[], float], rate: float, seconds: float
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
            pace=Pace(rate, time.monotonic() + seconds, time.monotonic, time.sleep),
            clock=time.time,
            random=random.random,
            pause=time.sleep,
            time_left=time_left,
            report=_report,
        )

    @cached_property
    def onboarding(self) -> "Onboarding":
        """The rep's acts."""
        from chalicelib.onboard import Onboarding

        return Onboarding(
            self.settings,
            tenants=self._tenants,
            links=self._links,
            connections=self._connections,
            vault=self._vault,
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

    @cached_property
    def credential_intake(self) -> "CredentialIntake":
        """Checks and keeps what a customer entered."""
        from chalicelib.credentials import CredentialIntake
        from chalicelib.store.intake import IntakeTables

        tables = self.settings
        return CredentialIntake(
            links=self._links,
            tables=IntakeTables(
                self._dynamodb,
                links=tables.links_table,
                tenants=tables.tenants_table,
                journal_table=tables.journal_table,
            ),
            connections=self._connections,
            vault=self._vault,
            goto=self._goto(connections=1),
            client_auth=tables.client_auth,
            clock=time.time,
        )

    @cached_property
    def announcer(self) -> "Announcer":
        """What the journal says, told."""
        from chalicelib.announce import Announcer
        from chalicelib.bus import Bus
        from chalicelib.mail import Mail

        return Announcer(
            tenants=self._tenants,
            onboarding=self.onboarding,
            mail=Mail(self._aws("sesv2"), self.settings.mail_from),
            bus=Bus(self._aws("events"), self.settings.bus),
        )

    @cached_property
    def _tenants(self) -> "Tenants":
        from chalicelib.store.tenants import Tenants

        tables = self.settings
        return Tenants(self._dynamodb, tables.tenants_table, tables.journal_table)

    @cached_property
    def _links(self) -> "Links":
        from chalicelib.store.links import Links

        tables = self.settings
        return Links(self._dynamodb, tables.links_table, tables.journal_table)

    @cached_property
    def _requests(self) -> "AuthorizationRequests":
        from chalicelib.store.requests import AuthorizationRequests

        tables = self.settings
        return AuthorizationRequests(self._dynamodb, tables.requests_table, tables.journal_table)

    @cached_property
    def _connections(self) -> "Connections":
        from chalicelib.store.connections import Connections

        return Connections(
            self._dynamodb,
            tokens=self.settings.tokens_table,
            grants=self.settings.grants_table,
            tenants=self.settings.tenants_table,
            requests=self.settings.requests_table,
            journal=self.settings.journal_table,
        )

    @cached_property
    def _provider(self) -> "ProviderRow":
        from chalicelib.store.provider import ProviderRow

        tables = self.settings
        return ProviderRow(self._dynamodb, tables.grants_table, tables.journal_table)

    @cached_property
    def _commits(self) -> "Commits":
        from chalicelib.commits import Commits

        return Commits(self._connections, time.time)

    @cached_property
    def _rescue_queue(self) -> "RescueQueue":
        from chalicelib.rescue_queue import RescueQueue

        return RescueQueue(self._aws("sqs"), self.settings.rescue_queue)

    @cached_property
    def _journal(self) -> "Journal":
        from chalicelib.store.journal import Journal

        return Journal(self._dynamodb, self.settings.journal_table)

    @cached_property
    def _vault(self) -> "Vault":
        from chalicelib.vault import Vault

        client = self._aws("secretsmanager")
        return Vault(client, self.settings.secret_prefix, self.settings.secret_key)

    def _goto(self, connections: int) -> "GoTo":
        from chalicelib.goto import GoTo

        return GoTo(self.settings, connections)

    def _start_completion(self, key: str) -> None:
        from chalicelib.invoke import invoke_later

        invoke_later(self._lambda, self.settings.complete_function, {"request": key})

    def _start_lane(self, lane: int, rate: float) -> None:
        from chalicelib.invoke import invoke_later

        payload = {"lane": lane, "rate": rate}
        invoke_later(self._lambda, self.settings.refresh_lane_function, payload)

    def _take_credentials(self, payload: Mapping[str, str]) -> "Outcome":
        from chalicelib.credentials import Outcome
        from chalicelib.invoke import invoke_now

        client = self._aws("lambda", read_timeout=INTAKE_TIMEOUT, attempts=1)
        return Outcome(invoke_now(client, self.settings.intake_function, payload)["outcome"])

    @cached_property
    def _dynamodb(self) -> Any:
        return self._aws("dynamodb")

    @cached_property
    def _lambda(self) -> Any:
        return self._aws("lambda")

    @cached_property
    def _session(self) -> Any:
        import botocore.session

        return botocore.session.get_session()

    def _aws(self, service: str, read_timeout: int = READ_TIMEOUT, attempts: int = 3) -> Any:
        from botocore.config import Config

        settings = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=POOL,
        )
        return self._session.create_client(service, config=settings)


def _report(error: Exception) -> None:
    """One line of the log for what went on in spite of an error."""
    logger().error("went on in spite of an error", exc_info=error)
