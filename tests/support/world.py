"""The product's own wiring on real tables, with a clock and a GoTo that the test holds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chalicelib import config, opaque
from chalicelib.aws.secrets_manager import SecretStore
from chalicelib.bootstrap import (
    complete,
    intake,
    notify,
    on_demand,
    refresh,
    rep,
    rescue,
    restore,
    tokens,
    web,
)
from chalicelib.bootstrap.deployment import Deployment
from chalicelib.config import Settings
from chalicelib.connect.authorize import AdminVisit, FormPost
from chalicelib.connect.client_check import CredentialIntake
from chalicelib.connect.client_form import IntakeVisit
from chalicelib.connect.complete import Completion, CompletionReport
from chalicelib.connect.invitations import Invitations
from chalicelib.connect.visitors import BrowserCookies
from chalicelib.durations import CONFIRM_ALONE
from chalicelib.dynamodb.authorization_requests import AuthorizationRequests
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.fleet import Fleet
from chalicelib.dynamodb.journal import Journal
from chalicelib.dynamodb.links import Links
from chalicelib.dynamodb.provider_health import ProviderRow
from chalicelib.dynamodb.table import Tables
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.goto.oauth import Answer
from chalicelib.models import LANES, Actor, Due, Grant, Reason, TenantDetails
from chalicelib.notify.fleet_counts import FleetCounts
from chalicelib.refresh.on_demand import RefreshAnswer as DemandAnswer
from chalicelib.refresh.rate_limiter import Limiter, RateLimiter
from chalicelib.refresh.refresher import Refresher
from chalicelib.refresh.scheduler import Schedule
from chalicelib.rep.commands import Answer as RepAnswer
from chalicelib.rep.commands import Desk, run
from chalicelib.rep.health_check import Part
from chalicelib.rep.onboarding import Onboarding
from chalicelib.tokens.commit import Commits
from chalicelib.tokens.rescue import Rescue, Rescued
from tests.support import aws, rep_contract
from tests.support.aws import environment
from tests.support.stubs import Clock, ObedientGoTo, RescueBox

TESTER = Actor("a test", proved=True)


@dataclass(frozen=True, kw_only=True)
class _Local(Deployment):
    """Its functions are run by the test, in the test's own process."""

    world: World

    def invoke_later(self, function: str | None, payload: Mapping[str, Any]) -> None:
        if "request" in payload:
            self.world.completions.append(payload["request"])
        else:
            self.world.handed.append((payload["lanes"], payload["rate"], payload["wait"]))

    def invoke_now(
        self, function: str | None, payload: Mapping[str, Any], read_timeout: int
    ) -> dict[str, Any]:
        facts = on_demand.facts_asked(self, payload)
        if facts is not None:
            return facts
        if "link" in payload:
            return {"outcome": self.world.credential_intake().take(payload)}
        return self.world.on_demand(**payload).to_dict()


def reason_of(report: CompletionReport | None) -> Reason | None:
    """What a completion ended with. Raises, as `app.complete` does, what kept it from its row."""
    if report is not None and report.unwritten is not None:
        raise report.unwritten
    return report.reason if report is not None else None


class World:
    """One deployment in the small. ``completions`` holds requests handed to `complete`."""

    def __init__(self, dynamodb: Any, tables: dict[str, str], **changed: str) -> None:
        self.dynamodb = dynamodb
        self.environment = environment(tables, **changed)
        self.clock = Clock()
        self.goto = ObedientGoTo()
        self.rescue_queue = RescueBox()
        self.completions: list[str] = []
        self.handed: list[tuple[list[int], float, float]] = []
        self.parts: list[Part] = []
        self.paused: list[float] = []
        self.reported: list[Exception] = []
        self.time_left = 120.0
        self.random: Callable[[], float] = lambda: 0.5
        self.deployment: Deployment = _Local(
            world=self,
            settings=config.load(self.environment),
            client=lambda service, *_, **__: aws.client(service),
            goto=lambda connections, ask_deadline=None: self.goto,
            threads=lambda threads: map,
            clock=self.clock,
            monotonic=self.clock,
            pause=self.pause,
            random=lambda: self.random(),  # noqa: PLW0108 - a test may put another in its place
            report=self.reported.append,
        )
        self.stand_in(dynamodb=dynamodb, rescue_queue=self.rescue_queue)

    def stand_in(self, **parts: object) -> None:
        """Put fakes in the places of stores or clients, before any use case is built."""
        vars(self.deployment).update(parts)

    @property
    def settings(self) -> Settings:
        return self.deployment.settings

    @settings.setter
    def settings(self, changed: Settings) -> None:
        self.deployment = replace(self.deployment, settings=changed)
        self.stand_in(dynamodb=self.dynamodb, rescue_queue=self.rescue_queue)

    @property
    def tables(self) -> Tables:
        return self.deployment.tables

    @property
    def tenants(self) -> Tenants:
        return self.deployment.tenants

    @property
    def links(self) -> Links:
        return self.deployment.links

    @property
    def requests(self) -> AuthorizationRequests:
        return self.deployment.requests

    @property
    def connections(self) -> Connections:
        return self.deployment.connections

    @property
    def journal(self) -> Journal:
        return self.deployment.journal

    @property
    def provider(self) -> ProviderRow:
        return self.deployment.provider

    @property
    def fleet(self) -> Fleet:
        return self.deployment.fleet

    @property
    def commits(self) -> Commits:
        return tokens.commits(self.deployment)

    @property
    def secret_store(self) -> SecretStore:
        return self.deployment.secret_store

    @property
    def onboarding(self) -> Onboarding:
        return rep.onboarding(self.deployment)

    @property
    def invitations(self) -> Invitations:
        return notify.invitations(self.deployment)

    @property
    def fleet_counts(self) -> FleetCounts:
        return notify.fleet_counts(self.deployment)

    @property
    def visit(self) -> AdminVisit:
        return web.admin_visit(self.deployment)

    @property
    def intake_visit(self) -> IntakeVisit:
        return web.intake_visit(self.deployment)

    def credential_intake(self) -> CredentialIntake:
        """The function that checks and keeps what a customer entered."""
        return intake.credential_intake(self.deployment)

    def add_tenant(self, name: str = "acme") -> str:
        """A tenant ready to connect; returns its emailed link."""
        self.onboarding.add_tenant(
            name, TenantDetails(f"{name} Ltd", f"admin@{name}.example"), TESTER
        )
        self.onboarding.set_credentials(name, f"id-{name}", f"secret-{name}+/=", TESTER)
        return self.invitations.create_link(name, TESTER).rsplit("/", 1)[1]

    def browser(self, link: str, browser: str | None = None) -> BrowserCookies:
        return BrowserCookies(link=link, browser=browser or opaque.new_value())

    def start(self, visitor: BrowserCookies) -> dict[str, str]:
        """Press the button; returns the parameters of GoTo's address."""
        form = FormPost(opaque.csrf_value(visitor.browser or "", visitor.link or ""), None, None)
        query = parse_qs(urlsplit(self.visit.start(visitor, form)).query)
        return {name: values[0] for name, values in query.items()}

    def come_back(self, visitor: BrowserCookies, **parameters: str) -> None:
        """GoTo's redirect. The browser keeps the cookies of the answer, as one does."""
        given = {name: [value] for name, value in parameters.items()}
        renewed = self.visit.callback(visitor, given)
        if renewed not in (None, visitor.browser):
            object.__setattr__(visitor, "before", visitor.browser)
            object.__setattr__(visitor, "browser", renewed)

    def choose(self, browser: BrowserCookies, account: str) -> None:
        """The admin's word which of several accounts is meant."""
        csrf = opaque.csrf_value(browser.browser or "", browser.link or "")
        self.visit.choose(browser, FormPost(csrf, None, None), account)

    def complete(self) -> list[Reason | None]:
        """Run every completion that was handed over."""
        handed, self.completions[:] = self.completions[:], []
        return [self.complete_one(key) for key in handed]

    def complete_one(self, key: str) -> Reason | None:
        """Why one completion did not end in a connection."""
        return reason_of(self.completion().run(key))

    def completion(self) -> Completion:
        return complete.completion(self.deployment, lambda: self.time_left)

    def pause(self, seconds: float) -> None:
        """What a function waits is gone from its time."""
        self.paused.append(seconds)
        self.time_left -= seconds

    def connect(self, link: str, browser: str | None = None) -> BrowserCookies:
        """The whole way, up to a connected tenant."""
        visitor = self.browser(link, browser)
        state = self.start(visitor)["state"]
        self.come_back(visitor, state=state, code="a-code")
        assert self.complete() == [None]
        return visitor

    def rep(self, command: str, **arguments: Any) -> RepAnswer:
        """One command of the rep. Its answer is as docs/rep-command.schema.json says."""
        answer = run(self.desk(), {"command": command, **arguments}, lambda: TESTER)
        rep_contract.check_answer(command, answer)
        return answer

    def desk(self) -> Desk:
        desk = rep.desk(self.deployment)
        return replace(desk, doctor=replace(desk.doctor, parts=self.parts))

    def refresher(self, rate_limiter: Limiter | None = None) -> Refresher:
        unhurried = RateLimiter(1e9, math.inf, lambda: 0.0, self.pause)
        return refresh.refresher(
            self.deployment, rate_limiter or unhurried, 1, lambda: self.time_left
        )

    def schedule(self) -> Schedule:
        schedule = refresh.schedule(self.deployment, 1, lambda: self.time_left)
        return replace(schedule, refresher_for=lambda *_: self.refresher())

    def tick(self) -> dict[str, int]:
        return dict(self.schedule().tick().outcomes)

    def tick_refused(self, *answers: Answer) -> dict[str, int]:
        """Two ticks, some minutes apart, in which GoTo gives these answers first: a refusal, and
        its confirmation (F10, F11)."""
        self.goto.script[:0] = answers
        self.tick()
        self.clock.pass_(CONFIRM_ALONE)
        self.goto.script[:0] = answers
        return self.tick()

    def on_demand(self, **event: Any) -> DemandAnswer:
        """One of HA's services asks."""
        return on_demand.on_demand(self.deployment, lambda: self.time_left).refresh(event)

    def rescue(self) -> list[Rescued]:
        """Deliver what waits in the rescue queue; what fails stays there."""
        commit = self.rescuer().commit
        return [self.rescue_queue.deliver(commit) for _ in self.rescue_queue.messages[:]]

    def rescuer(self) -> Rescue:
        return rescue.rescue(self.deployment)

    def restore(self, *, both: bool = False) -> Counter[str]:
        """The operator's command after a table came back from a backup, for every lane."""
        use_case = restore.restore(self.deployment)
        return sum((use_case.check(lane, both=both) for lane in range(LANES)), Counter())

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
        """Every row of every table, to show that something changed nothing.

        But for the proofs that a rep has used up: each command leaves one, whatever it comes to.
        """
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
            table: sorted(
                filter(_is_no_proof, self.dynamodb.scan(TableName=table)["Items"]), key=repr
            )
            for table in tables
        }


def _is_no_proof(row: dict[str, Any]) -> bool:
    return not row.get("link", {}).get("S", "").startswith("proof#")
