"""Use cases of the admin's browser: open the link, see the page, start, come back, wait.

Runs with the web role, which can read no refresh token and no client secret. Nothing here changes a
connection; `complete` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from chalicelib import journal_entries, opaque
from chalicelib.config import Settings
from chalicelib.connect import page_views
from chalicelib.connect.visitors import BrowserCookies, Door, Visitor
from chalicelib.connection_state import ends_soon, state_of
from chalicelib.durations import DAY, MAIL_PAUSE, REQUEST_LIFETIME
from chalicelib.dynamodb.accounts import Choices
from chalicelib.dynamodb.authorization_requests import AuthorizationRequests
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.journal import Journal
from chalicelib.dynamodb.links import Links
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import (
    CallbackNotAccepted,
    Conflict,
    CrossSiteRequest,
    DependencyUnavailable,
    LinkNotUsable,
    NotReadyToConnect,
    TooManyAttempts,
    UnknownTenant,
)
from chalicelib.goto import oauth
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import AuthorizationRequest, Browser, LinkKind, Reason, Tenant
from chalicelib.tokens.request_outcomes import ENDS, ending, press

MOST_STARTS = 30
"""Most starts per visitor in each window of `REQUEST_LIFETIME` (S14, S16)."""

MOST_STARTS_A_DAY = 100
"""Most starts per visitor in a day; keeps a history readable over a link's whole life (S29)."""


@dataclass(frozen=True, slots=True)
class FormPost:
    """A posted form's CSRF value, and where the browser says that the form came from."""

    csrf: str = field(repr=False)
    fetch_site: str | None
    origin: str | None


@dataclass(frozen=True, kw_only=True)
class AdminVisit:
    """What the admin does in the browser, up to the callback."""

    settings: Settings
    door: Door
    tenants: Tenants
    links: Links
    requests: AuthorizationRequests
    choices: Choices
    connections: Connections
    journal: Journal
    start_completion: Callable[[str], None]
    count_failed: Callable[[], None]
    clock: Callable[[], float]

    def open_link(self, link: str) -> Tenant:
        """The tenant of an emailed link. Writes nothing, so a mail scanner uses nothing up (S14).

        Raises `LinkNotUsable`, `DependencyUnavailable`.
        """
        return self.door.visitor(BrowserCookies(link, None)).tenant

    def replaced(self, cookies: BrowserCookies, opened: Tenant) -> Tenant | None:
        """The tenant open in this browser, if opening ``opened`` would replace it (S28). Raises
        `DependencyUnavailable`."""
        try:
            held = self.door.visitor(cookies).tenant
        except LinkNotUsable:
            return None
        return held if held.name != opened.name else None

    def ask_for_fresh_link(self, link: str) -> None:
        """Have a fresh link mailed to the registered admin of this link's tenant (S15).

        The visitor can't tell unknown links, known ones and repeated presses apart. A revoked link
        causes no mail: its holder need not be the admin (S29). The journal entry causes the mail.
        Raises `DependencyUnavailable`.
        """
        found = self.links.get(opaque.digest(link)) if opaque.well_formed(link) else None
        tenant = self.tenants.get(found.tenant) if found else None
        if tenant is None or found is None or found.kind is not LinkKind.CONNECT:
            return
        if found.series != tenant.link_series:
            return
        if not self.links.claim_mail(tenant.name, self._now(), pause=MAIL_PAUSE):
            return
        text = "A visitor requested a new link on an old link's page; it is emailed to the admin."
        self.journal.append(
            JournalEntry(tenant.name, self.clock(), Kind.LINK_REQUESTED, "a visitor", text)
        )

    def settings_page(self, cookies: BrowserCookies) -> page_views.SettingsView:
        """The settings page as this browser may see it. Raises what `Door.visitor` does,
        `DependencyUnavailable`."""
        tenant = self.door.visitor(cookies).tenant
        browser, request = self._browser(cookies, tenant)
        connection, now = self.connections.get(tenant.name), self.clock()
        seconds = page_views.token_seconds(connection, browser, now)
        facts = page_views.facts(connection, browser)
        return page_views.SettingsView(
            tenant=tenant,
            status=state_of(tenant, connection, now),
            now=now,
            reconnect_soon=connection is not None and ends_soon(connection, now),
            csrf=opaque.csrf_value(cookies.browser or "", cookies.link or ""),
            processing=page_views.waiting(request, now),
            notice=page_views.notice(request, connection, now),
            choices=page_views.choices(request),
            **page_views.usability(connection, self.settings.needed_scopes),
            connected=connection is not None and connection.access_token is not None,
            token=connection.access_token if connection and seconds else None,
            token_seconds=seconds,
            details=page_views.Details(facts, self._timeline(tenant.name)) if facts else None,
        )

    def _timeline(self, tenant: str) -> tuple[JournalEntry, ...]:
        history = journal_entries.without_presses(self.journal.history(tenant), self.clock())
        shown = journal_entries.lines(journal_entries.for_customers(history))
        return tuple(entry.for_customer() for entry in shown)

    def processing(self, cookies: BrowserCookies) -> bool:
        """Whether this browser's authorization request is still being processed. Raises what
        `Door.visitor` does, `DependencyUnavailable`."""
        _, request = self._browser(cookies, self.door.visitor(cookies).tenant)
        return page_views.waiting(request, self.clock())

    def start(self, cookies: BrowserCookies, form: FormPost) -> str:
        """Open an authorization request and return GoTo's address for it.

        Voids the browser's older request unless the admin came back from GoTo. Raises what
        `Door.visitor` does, `CrossSiteRequest`, `NotReadyToConnect`, `TooManyAttempts`,
        `DependencyUnavailable`.
        """
        visitor = self.door.visitor(cookies)
        tenant = visitor.tenant
        check_form(self.settings, cookies, form, tenant.name)
        if tenant.client_id is None or tenant.secret_version is None:
            raise NotReadyToConnect("no GoTo client is configured for this tenant")
        now = self._now()
        self._count(visitor, now)
        browser, _ = self._browser(cookies, tenant)
        if browser is not None:
            self.requests.void(browser.current, now)
        state = opaque.new_value()
        request = AuthorizationRequest(
            key=opaque.digest(state),
            tenant=tenant.name,
            sequence=self._next_sequence(tenant.name),
            browser=opaque.browser_digest(cookies.browser or "", tenant.name),
            client_id=tenant.client_id,
            secret_version=tenant.secret_version,
            redirect_uri=tenant.redirect_uri,
            reference=opaque.new_reference(),
            started_at=now,
            expires_at=now + REQUEST_LIFETIME,
            verifier=oauth.new_verifier(),
            link_series=visitor.series,
            pressed_by=visitor.email,
        )
        self.requests.start(request, press(request, self.clock()))
        return oauth.authorization_url(
            self.settings.authorize_url,
            client_id=request.client_id,
            redirect_uri=request.redirect_uri,
            state=state,
            verifier=request.verifier,
            scope=self.settings.scope,
        )

    def _count(self, visitor: Visitor, now: int) -> None:
        count, key = self.links.count_start, visitor.counted
        if visitor.email is not None:
            self.links.open_count(key, now)
        if not (
            count(key, now, window=REQUEST_LIFETIME, most=MOST_STARTS)
            and count(key, now, window=DAY, most=MOST_STARTS_A_DAY, counter="daily_start")
        ):
            raise TooManyAttempts("too many starts by this visitor")

    def _next_sequence(self, tenant: str) -> int:
        try:
            return self.tenants.next_sequence(tenant)
        except UnknownTenant:
            raise LinkNotUsable("the tenant has just been removed") from None

    def choose(self, cookies: BrowserCookies, form: FormPost, account: str) -> None:
        """Record which of several GoTo accounts the admin chose, and start the completion (S26).

        Does nothing if this browser has no such account to choose: the page shows how its sign-in
        ended. Raises what `Door.visitor` does, `CrossSiteRequest`, `DependencyUnavailable`.
        """
        tenant = self.door.visitor(cookies).tenant
        check_form(self.settings, cookies, form, tenant.name)
        _, request = self._browser(cookies, tenant)
        if request is None or account not in {each.key for each in request.accounts}:
            return
        if self.choices.choose(request.key, account, self._now()):
            self.start_completion(request.key)

    def callback(
        self, cookies: BrowserCookies, parameters: Mapping[str, Sequence[str]]
    ) -> str | None:
        """Take GoTo's answer: burn the state, store the code, start the completion.

        Returns the browser's new value; None if it keeps its own. The settings page shows the
        outcome. Raises `MalformedRequest`, `LoginRequired` and `CallbackNotAccepted` (nothing was
        written), `DependencyUnavailable`.
        """
        self.door.check(cookies)
        answer = oauth.read_callback(parameters)
        request = self._request_of(cookies, answer.state)
        if self.settings.issuer and answer.iss not in (None, self.settings.issuer):
            self._consume_failed(request, Reason.WRONG_ISSUER)
        elif answer.error is not None:
            self._consume_failed(request, oauth.callback_reason(answer.error))
        elif answer.code is not None:
            renewed = opaque.next_browser(cookies.browser or "", answer.state)
            request = self._consume(request, answer.code, cookies, renewed)
            goes_by = _value_of(request, cookies, answer.state)
            return goes_by if goes_by != cookies.before else None
        return None

    def _request_of(self, cookies: BrowserCookies, state: str) -> AuthorizationRequest:
        """The request that this state belongs to, if this browser started it (S01, S02).

        After the first callback, the request knows its browser by `opaque.next_browser`.
        """
        request = self.requests.get(opaque.digest(state)) if opaque.well_formed(state) else None
        if request is None:
            raise CallbackNotAccepted("state unknown")
        if cookies.of_another(request.tenant):
            raise CallbackNotAccepted("state of another tenant")
        if _value_of(request, cookies, state) is None:
            raise CallbackNotAccepted("state of another browser")
        return request

    def _consume(
        self, request: AuthorizationRequest, code: str, cookies: BrowserCookies, renewed: str
    ) -> AuthorizationRequest:
        """Returns the request as it is afterwards, including its browser's digest."""
        digest = opaque.browser_digest(renewed, request.tenant)
        held = opaque.browser_digest(cookies.browser or "", request.tenant)
        if self._consumed(request, code, held, digest):
            current = replace(request, browser=digest)
        else:
            current = self._accept_repeat(request)
            if current.code is None or not page_views.waiting(current, self.clock()):
                return current
        # A repeat starts the completion again while the code is there: the first start may be
        # lost, and of two only one finds the code.
        try:
            self.start_completion(request.key)
        except DependencyUnavailable:
            self._fail(request, Reason.INTERNAL)
        return current

    def _consumed(self, request: AuthorizationRequest, code: str, held: str, renewed: str) -> bool:
        """Whether this was the first use of the state. ``held``: digest of the browser's cookie; it
        differs from the request's if another tab came back first."""
        if renewed == request.browser:  # the same callback with the same cookies
            return False
        browser = self.requests.browser(held) or self.requests.browser(request.browser)
        try:
            self.requests.consume(request, self._now(), code, renewed, browser)
        except Conflict:
            return False
        return True

    def _consume_failed(self, request: AuthorizationRequest, reason: Reason) -> None:
        status, now = ENDS[reason].status, self._now()
        try:
            self.requests.consume_failed(
                request, now, status, reason, ending(request, reason, self.clock())
            )
        except Conflict:
            self._accept_repeat(request)
        else:
            if ENDS[reason].counts:
                self.count_failed()

    def _accept_repeat(self, request: AuthorizationRequest) -> AuthorizationRequest:
        """The request as it is now, for a callback that its browser repeats: browsers resend a lost
        request, and the back button leads through GoTo to here. It never causes a second exchange.

        Raises `CallbackNotAccepted` if the state was never used: it expired, or a start voided it.
        """
        current = self.requests.get(request.key)
        if current is None or current.returned_at is None:
            raise CallbackNotAccepted("state expired or void")
        return current

    def _fail(self, request: AuthorizationRequest, reason: Reason) -> None:
        entry = ending(request, reason, self.clock())
        try:
            self.requests.fail(request.key, self._now(), ENDS[reason].status, reason, entry)
        except Conflict:  # the completion did start, and has ended the request
            return

    def _browser(
        self, cookies: BrowserCookies, tenant: Tenant
    ) -> tuple[Browser | None, AuthorizationRequest | None]:
        """The browser and its newest request. A completion at a link revoked since doesn't count:
        it may be a former admin's, or an earlier customer's of the same name (S18)."""
        if not opaque.well_formed(cookies.browser):
            return None, None
        key = opaque.browser_digest(cookies.browser or "", tenant.name)
        browser, request = self.requests.newest(key)
        if browser and browser.link_series != tenant.link_series:
            browser = replace(browser, completed_at=None)
        return browser, request

    def _now(self) -> int:
        return int(self.clock())


def _value_of(request: AuthorizationRequest, cookies: BrowserCookies, state: str) -> str | None:
    """The browser's value that the request is tied to; None if it is another browser's (S02)."""
    following = tuple(opaque.next_browser(value, state) for value in cookies.values[:1])
    for value in cookies.values + following:
        if opaque.browser_digest(value, request.tenant) == request.browser:
            return value
    return None


def check_form(
    settings: Settings, cookies: BrowserCookies, form: FormPost, tenant: str | None
) -> None:
    """Check that a form comes from our own page (S13). Raises `CrossSiteRequest`.

    Pages are served with no-referrer, so a browser may send the origin ``null``. ``tenant`` is None
    for a dead link, whose page must not reveal the tenant (S15): any origin of ours will do.
    """
    if form.fetch_site not in (None, "same-origin"):
        raise CrossSiteRequest("sent by another site")
    if form.origin not in (None, "null") and not settings.is_origin(form.origin, tenant):
        raise CrossSiteRequest("sent by another origin")
    if not cookies.values:
        raise CrossSiteRequest("no browser cookie")
    link = cookies.link or ""
    if not any(opaque.csrf_matches(form.csrf, value, link) for value in cookies.values):
        raise CrossSiteRequest("wrong form value")
