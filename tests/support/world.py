"""The real use cases on real tables, with a clock and a GoTo that the test holds in its hands."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chalicelib import config, links
from chalicelib.authorize import AdminVisit, FormPost, Visitor
from chalicelib.by_hand import ByHand
from chalicelib.commands import Answer as RepAnswer
from chalicelib.commands import Desk, run
from chalicelib.commits import Commits
from chalicelib.complete import Completion
from chalicelib.credentials import CredentialIntake
from chalicelib.disconnect import Disconnecting
from chalicelib.doctor import Doctor, Part
from chalicelib.fleet import FleetCounts
from chalicelib.imports import Imports
from chalicelib.intake import IntakeVisit
from chalicelib.invitations import Invitations
from chalicelib.model import LANES, Caller, Due, Grant, Reason
from chalicelib.on_demand import Answer as DemandAnswer
from chalicelib.on_demand import OnDemand
from chalicelib.onboard import Onboarding
from chalicelib.overview import Overview
from chalicelib.pace import Pace
from chalicelib.refresh import Refresher
from chalicelib.rescue import Rescue, Rescued
from chalicelib.restore import Restore
from chalicelib.schedule import Schedule
from chalicelib.store.adoption import Adoption
from chalicelib.store.connections import Connections
from chalicelib.store.disconnections import Disconnections
from chalicelib.store.fleet import Fleet
from chalicelib.store.glance import Glance
from chalicelib.store.intake import IntakeTables
from chalicelib.store.journal import Journal
from chalicelib.store.links import Links
from chalicelib.store.provider import ProviderRow
from chalicelib.store.requests import AuthorizationRequests
from chalicelib.store.restored import RestoredTables
from chalicelib.store.tables import of
from chalicelib.store.tenants import Tenants
from chalicelib.vault import Vault
from tests.support.aws import REGION, environment, session
from tests.support.standins import Clock, ObedientGoTo, RescueBox

TESTER = Caller("a test")


class World:
    """One deployment in the small. ``completions`` holds requests handed to `complete`."""

    def __init__(self, dynamodb: Any, tables: dict[str, str], **changed: str) -> None:
        self.dynamodb = dynamodb
        self.environment = environment(tables, **changed)
        self.settings = config.load(self.environment)
        self.clock = Clock()
        self.goto = ObedientGoTo()
        self.completions: list[str] = []
        self.parts: list[Part] = []
        self.paused: list[float] = []
        self.reported: list[Exception] = []
        self.time_left = 120.0
        self.random: Callable[[], float] = lambda: 0.5
        names = self.settings
        self.tables = of(dynamodb, names)
        self.tenants = Tenants(self.tables)
        self.links = Links(self.tables)
        self.requests = AuthorizationRequests(self.tables)
        self.connections = Connections(self.tables)
        self.journal = Journal(self.tables)
        self.provider = ProviderRow(self.tables)
        self.commits = Commits(self.connections, self.tenants, self.clock)
        self.rescue_queue = RescueBox()
        self.handed: list[tuple[int, float, float]] = []
        secrets: Any = session().create_client("secretsmanager", REGION)
        self.vault = Vault(secrets, names.secret_prefix, names.secret_key)
        self.onboarding = Onboarding(
            names,
            tenants=self.tenants,
            connections=self.connections,
            vault=self.vault,
            goto=self.goto,  # type: ignore[arg-type]  # stands in for the adapter
            clock=self.clock,
        )
        self.invitations = Invitations(
            names,
            tenants=self.tenants,
            links=self.links,
            journal=self.journal,
            clock=self.clock,
        )
        self.fleet = Fleet(self.tables)
        self.fleet_counts = FleetCounts(
            tenants=self.tenants, connections=self.connections, fleet=self.fleet
        )
        self.visit = AdminVisit(
            names,
            tenants=self.tenants,
            links=self.links,
            requests=self.requests,
            connections=self.connections,
            journal=self.journal,
            start_completion=self.completions.append,
            clock=self.clock,
        )

        self.intake_visit = IntakeVisit(
            names,
            tenants=self.tenants,
            links=self.links,
            take=lambda event: self.credential_intake().take(event),
            clock=self.clock,
        )

    def credential_intake(self) -> CredentialIntake:
        """The function that checks and keeps what a customer entered."""
        names = self.settings
        return CredentialIntake(
            links=self.links,
            tables=IntakeTables(self.tables),
            connections=self.connections,
            vault=self.vault,
            goto=self.goto,  # type: ignore[arg-type]  # stands in for the adapter
            client_auth=names.client_auth,
            clock=self.clock,
        )

    def add_tenant(self, name: str = "acme") -> str:
        """A tenant ready to connect; returns its emailed link."""
        self.onboarding.add_tenant(name, f"{name} Ltd", f"admin@{name}.example", TESTER)
        self.onboarding.set_credentials(name, f"id-{name}", f"secret-{name}+/=", TESTER)
        return self.invitations.create_link(name, TESTER).rsplit("/", 1)[1]

    def browser(self, link: str, browser: str | None = None) -> Visitor:
        return Visitor(link=link, browser=browser or links.new_value())

    def start(self, visitor: Visitor) -> dict[str, str]:
        """Press the button; returns the parameters of GoTo's address."""
        form = FormPost(links.csrf_value(visitor.browser or "", visitor.link or ""), None, None)
        query = parse_qs(urlsplit(self.visit.start(visitor, form)).query)
        return {name: values[0] for name, values in query.items()}

    def come_back(self, visitor: Visitor, **parameters: str) -> None:
        """GoTo's redirect."""
        self.visit.callback(visitor, {name: [value] for name, value in parameters.items()})

    def complete(self) -> list[Reason | None]:
        """Run every completion that was handed over."""
        handed, self.completions[:] = self.completions[:], []
        return [self.completion().run(key) for key in handed]

    def completion(self) -> Completion:
        return Completion(
            requests=self.requests,
            commits=self.commits,
            rescue_queue=self.rescue_queue,  # type: ignore[arg-type]  # stands in for the adapter
            vault=self.vault,
            goto=self.goto,  # type: ignore[arg-type]  # stands in for the adapter
            clock=self.clock,
            pause=self.pause,
            time_left=lambda: self.time_left,
            report=self.reported.append,
        )

    def pause(self, seconds: float) -> None:
        """What a function waits is gone from its time."""
        self.paused.append(seconds)
        self.time_left -= seconds

    def connect(self, link: str, browser: str | None = None) -> Visitor:
        """The whole way, up to a connected tenant."""
        visitor = self.browser(link, browser)
        state = self.start(visitor)["state"]
        self.come_back(visitor, state=state, code="a-code")
        assert self.complete() == [None]
        return visitor

    def rep(self, command: str, **arguments: Any) -> RepAnswer:
        """One command of the rep."""
        return run(self.desk(), {"command": command, **arguments}, lambda: TESTER)

    def desk(self) -> Desk:
        names = self.settings
        by_hand = ByHand(
            tenants=self.tenants,
            connections=self.connections,
            journal=self.journal,
            ask=lambda event: self.on_demand(**event).to_dict(),
            clock=self.clock,
        )
        return Desk(
            onboarding=self.onboarding,
            invitations=self.invitations,
            disconnecting=Disconnecting(
                tenants=self.tenants,
                connections=self.connections,
                disconnections=Disconnections(self.tables),
                vault=self.vault,
                withdraw_now=by_hand.withdraw,
                clock=self.clock,
            ),
            overview=Overview(
                tenants=self.tenants,
                connections=self.connections,
                journal=self.journal,
                fleet=self.fleet,
                glance=Glance(self.tables),
                provider=self.provider,
                clock=self.clock,
            ),
            imports=Imports(
                names,
                tenants=self.tenants,
                connections=self.connections,
                adoption=Adoption(self.tables),
                vault=self.vault,
                run=map,
                clock=self.clock,
            ),
            refresh=by_hand.refresh,
            doctor=Doctor(self.parts, settings=names, tenants=self.tenants, clock=self.clock),
        )

    def refresher(self, pace: Pace | None = None) -> Refresher:
        return Refresher(
            tenants=self.tenants,
            connections=self.connections,
            commits=self.commits,
            rescue_queue=self.rescue_queue,  # type: ignore[arg-type]  # stands in for the adapter
            vault=self.vault,
            goto=self.goto,  # type: ignore[arg-type]  # stands in for the adapter
            pace=pace or Pace(1e9, math.inf, lambda: 0.0, self.pause),
            clock=self.clock,
            random=self.random,
            pause=self.pause,
            time_left=lambda: self.time_left,
            report=self.reported.append,
        )

    def schedule(self) -> Schedule:
        return Schedule(
            connections=self.connections,
            provider=self.provider,
            fleet=self.fleet,
            rescue_queue=self.rescue_queue,  # type: ignore[arg-type]  # stands in for the adapter
            refresher_for=lambda rate, seconds, wait: self.refresher(),
            run=map,
            hand_over=lambda *share: self.handed.append(share),
            cap=self.settings.token_rate,
            clock=self.clock,
            report=self.reported.append,
        )

    def tick(self) -> dict[str, int]:
        return dict(self.schedule().tick())

    def on_demand(self, **event: Any) -> DemandAnswer:
        """One of HA's services asks."""
        return OnDemand(
            connections=self.connections,
            provider=self.provider,
            refresher=self.refresher(),
            clock=self.clock,
        ).refresh(event)

    def rescue(self) -> list[Rescued]:
        """Deliver what waits in the rescue queue; what fails stays there."""
        commit = self.rescuer().commit
        return [self.rescue_queue.deliver(commit) for _ in self.rescue_queue.messages[:]]

    def rescuer(self) -> Rescue:
        return Rescue(
            commits=self.commits,
            requests=self.requests,
            tenants=self.tenants,
            vault=self.vault,
            goto=self.goto,  # type: ignore[arg-type]  # stands in for the adapter
            clock=self.clock,
        )

    def restore(self, *, both: bool = False) -> Counter[str]:
        """The operator's command after a table came back from a backup, for every lane."""
        use_case = Restore(
            tables=RestoredTables(self.tables),
            connections=self.connections,
            tenants=self.tenants,
            clock=self.clock,
        )
        counts: Counter[str] = Counter()
        for lane in range(LANES):
            counts += use_case.check(lane, both=both)
        return counts

    def due(self, tenant: str = "acme") -> Due:
        """The tenant's row of the due index, whether due yet or not."""
        at = self.grant(tenant).next_refresh_at
        assert at is not None
        return Due(tenant, at)

    def pass_until_due(self, tenant: str = "acme") -> None:
        self.clock.now = max(self.clock.now, self.due(tenant).at)

    def grant(self, tenant: str = "acme") -> Grant:
        found = self.connections.grant(tenant)
        assert found is not None
        return found

    def history(self, tenant: str = "acme") -> list[str]:
        """Kinds of the tenant's journal entries, oldest first."""
        return [entry.kind for entry in reversed(self.journal.newest(tenant, 100))]

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table, to show that something changed nothing."""
        names = self.settings
        tables = (
            names.tokens_table,
            names.tenants_table,
            names.links_table,
            names.requests_table,
            names.grants_table,
            names.journal_table,
            names.fleet_table,
        )
        return {
            table: sorted(self.dynamodb.scan(TableName=table)["Items"], key=repr)
            for table in tables
        }
