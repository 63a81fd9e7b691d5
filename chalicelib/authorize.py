"""Use cases of the admin's browser: open the link, see the page, start, come back, wait.

Runs with the web role: no refresh token and no client secret is in reach here, and nothing here
changes a connection. The exchange that does is `complete`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from chalicelib import links, oauth
from chalicelib.endings import ending, outcome
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
from chalicelib.model import (
    AuthorizationRequest,
    Browser,
    Connection,
    JournalEntry,
    Link,
    Reason,
    Status,
    Tenant,
    ends_soon,
    state_of,
)
from chalicelib.times import (
    MAIL_PAUSE,
    NOTICE_SHOWN_FOR,
    PROCESSING_TIMEOUT,
    REQUEST_LIFETIME,
    TOKEN_SHOWN_FOR,
)

if TYPE_CHECKING:
    from chalicelib.config import Settings
    from chalicelib.store.connections import Connections
    from chalicelib.store.journal import Journal
    from chalicelib.store.links import Links
    from chalicelib.store.requests import AuthorizationRequests
    from chalicelib.store.tenants import Tenants

MOST_STARTS = 30
"""Starts that a link allows in each window of `REQUEST_LIFETIME` (S14, S16)."""

TIMELINE = 10
"""Entries of the journal that the page shows."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a browser brought: the link and its own secret, from cookies; any text or None."""

    link: str | None = field(repr=False)
    browser: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class FormPost:
    """A posted form, with what the browser says of where it comes from."""

    csrf: str = field(repr=False)
    fetch_site: str | None
    origin: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """How this browser's last authorization request ended, when not in a connection."""

    reason: Reason
    reference: str


@dataclass(frozen=True, slots=True)
class Details:
    """What only a browser that completed an authorization sees (S18)."""

    connection: Connection
    timeline: tuple[JournalEntry, ...]


@dataclass(frozen=True, slots=True)
class SettingsView:
    """Everything the settings page shows. ``token`` is set only where S18 allows it."""

    tenant: Tenant
    status: Status
    now: float
    csrf: str = field(repr=False)
    reconnect_soon: bool = False
    processing: bool = False
    notice: Notice | None = None
    connected: bool = False
    token: str | None = field(default=None, repr=False)
    details: Details | None = None


class AdminVisit:
    """The admin's way through the pages, up to the callback."""

    def __init__(
        self,
        settings: "Settings",
        *,
        tenants: "Tenants",
        links: "Links",
        requests: "AuthorizationRequests",
        connections: "Connections",
        journal: "Journal",
        start_completion: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tenants = tenants
        self._links = links
        self._requests = requests
        self._connections = connections
        self._journal = journal
        self._start_completion = start_completion
        self._clock = clock

    def open_link(self, link: str) -> None:
        """Check an emailed link. Writes nothing: a mail scanner's visit spends nothing (S14).

        Raises `LinkNotUsable`, `DependencyUnavailable`.
        """
        self._tenant_of(Visitor(link, None))

    def ask_for_fresh_link(self, link: str) -> None:
        """Have a fresh link mailed to the registered admin of the tenant this link was for (S15).

        Says nothing to the visitor: unknown links, known ones and repeated presses look the same.
        The mail is sent from the journal entry. Raises `DependencyUnavailable`.
        """
        found = self._links.get(links.digest(link)) if links.well_formed(link) else None
        tenant = self._tenants.get(found.tenant) if found else None
        if tenant is None or not self._links.claim_mail(tenant.name, self._now(), pause=MAIL_PAUSE):
            return
        text = "A fresh link was asked for on the page of an old one and is mailed to the admin."
        self._journal.append(
            JournalEntry(tenant.name, self._clock(), "link_requested", "a visitor", text)
        )

    def settings_page(self, visitor: Visitor) -> SettingsView:
        """The settings page as this browser may see it.

        Raises `LinkNotUsable`, `DependencyUnavailable`.
        """
        link, tenant = self._tenant_of(visitor)
        browser, request = self._browser(visitor, link.tenant)
        connection = self._connections.get(tenant.name)
        trusted = connection is not None and browser is not None and browser.completed_at
        return SettingsView(
            tenant=tenant,
            status=state_of(tenant, connection, self._clock()),
            now=self._clock(),
            reconnect_soon=connection is not None and ends_soon(connection, self._clock()),
            csrf=links.csrf_value(visitor.browser or "", visitor.link or ""),
            processing=request is not None and self._waiting(request),
            notice=self._notice(request),
            connected=connection is not None and connection.access_token is not None,
            token=self._visible_token(connection, browser),
            details=Details(
                replace(connection, access_token=None), self._journal.newest(tenant.name, TIMELINE)
            )
            if trusted and connection
            else None,
        )

    def processing(self, visitor: Visitor) -> bool:
        """Whether this browser's authorization request is still being worked on.

        Raises `LinkNotUsable`, `DependencyUnavailable`.
        """
        link, _ = self._tenant_of(visitor)
        _, request = self._browser(visitor, link.tenant)
        return request is not None and self._waiting(request)

    def start(self, visitor: Visitor, form: FormPost) -> str:
        """Open an authorization request and return GoTo's address for it.

        An older request of the same browser that nobody came back from is void from now on.
        Raises `LinkNotUsable`, `CrossSiteRequest`, `NotReadyToConnect`, `TooManyAttempts`,
        `DependencyUnavailable`.
        """
        link, tenant = self._tenant_of(visitor)
        check_form(self._settings, visitor, form, tenant.name)
        if tenant.client_id is None or tenant.secret_version is None:
            raise NotReadyToConnect("no GoTo client is configured for this tenant")
        now = self._now()
        if not self._links.count_start(link.key, now, window=REQUEST_LIFETIME, most=MOST_STARTS):
            raise TooManyAttempts("too many starts with this link")
        browser, _ = self._browser(visitor, tenant.name)
        if browser is not None:
            self._requests.void(browser.current, now)
        state = links.new_value()
        request = AuthorizationRequest(
            key=links.digest(state),
            tenant=tenant.name,
            sequence=self._next_sequence(tenant.name),
            browser=links.browser_digest(visitor.browser or "", tenant.name),
            client_id=tenant.client_id,
            secret_version=tenant.secret_version,
            redirect_uri=tenant.redirect_uri,
            reference=links.new_reference(),
            started_at=now,
            expires_at=now + REQUEST_LIFETIME,
            verifier=oauth.new_verifier(),
            link_series=link.series,
        )
        self._requests.start(request)
        return oauth.authorization_url(
            self._settings.authorize_url,
            client_id=request.client_id,
            redirect_uri=request.redirect_uri,
            state=state,
            verifier=request.verifier,
            scope=self._settings.scope,
        )

    def _next_sequence(self, tenant: str) -> int:
        try:
            return self._tenants.next_sequence(tenant)
        except UnknownTenant:
            raise LinkNotUsable("the tenant was removed at this very moment") from None

    def callback(self, visitor: Visitor, parameters: Mapping[str, Sequence[str]]) -> None:
        """Take GoTo's answer: burn the state, keep the code, have the exchange done elsewhere.

        The settings page tells how it went. Raises `MalformedRequest` and `CallbackNotAccepted`
        (nothing was written), `DependencyUnavailable`.
        """
        answer = oauth.read_callback(parameters)
        request = self._request_of(visitor, answer.state)
        if self._settings.issuer and answer.iss not in (None, self._settings.issuer):
            self._burn_failed(request, Reason.WRONG_ISSUER)
        elif answer.error is not None:
            self._burn_failed(request, oauth.callback_reason(answer.error))
        elif answer.code is not None:
            self._burn(request, answer.code)

    def _request_of(self, visitor: Visitor, state: str) -> AuthorizationRequest:
        """The request that this state belongs to, if this browser started it (S01, S02)."""
        request = self._requests.get(links.digest(state)) if links.well_formed(state) else None
        if request is None:
            raise CallbackNotAccepted("state unknown")
        browser = visitor.browser
        if not browser or links.browser_digest(browser, request.tenant) != request.browser:
            raise CallbackNotAccepted("state of another browser")
        return request

    def _burn(self, request: AuthorizationRequest, code: str) -> None:
        try:
            self._requests.burn(request, self._now(), code)
        except Conflict:
            if not self._accept_repeat(request):
                return
        # A repeat starts it again while nobody has taken the code: the first start may be lost,
        # and a second one finds no code.
        try:
            self._start_completion(request.key)
        except DependencyUnavailable:
            self._fail(request, Reason.INTERNAL)

    def _burn_failed(self, request: AuthorizationRequest, reason: Reason) -> None:
        status, now = outcome(reason), self._now()
        try:
            self._requests.burn_failed(
                request, now, status, reason, ending(request, reason, self._clock())
            )
        except Conflict:
            self._accept_repeat(request)

    def _accept_repeat(self, request: AuthorizationRequest) -> bool:
        """The browser that came back may come back again: it repeats a lost request on its own,
        and the back button leads through GoTo to here. The settings page tells how it went.

        True while the code that came first still waits in its row. A second exchange never comes
        of it. A state that nobody ever came back with is too old, or void since a later start.
        """
        current = self._requests.get(request.key)
        if current is None or current.returned_at is None:
            raise CallbackNotAccepted("state expired or void")
        return current.code is not None and self._waiting(current)

    def _fail(self, request: AuthorizationRequest, reason: Reason) -> None:
        entry = ending(request, reason, self._clock())
        try:
            self._requests.fail(request.key, self._now(), outcome(reason), reason, entry)
        except Conflict:  # the start had arrived after all, and has come to its own end
            return

    def _tenant_of(self, visitor: Visitor) -> tuple[Link, Tenant]:
        link = self._link(visitor.link)
        tenant = self._tenants.get(link.tenant)
        if tenant is None or tenant.link_series != link.series:
            raise LinkNotUsable("the tenant is gone, or its links were revoked")
        return link, tenant

    def _link(self, link: str | None) -> Link:
        found = self._links.get(links.digest(link)) if link and links.well_formed(link) else None
        if found is None or not found.usable(self._clock()):
            raise LinkNotUsable("link unknown or expired")
        return found

    def _browser(
        self, visitor: Visitor, tenant: str
    ) -> tuple[Browser | None, AuthorizationRequest | None]:
        if not links.well_formed(visitor.browser):
            return None, None
        browser = self._requests.browser(links.browser_digest(visitor.browser or "", tenant))
        return browser, self._requests.get(browser.current) if browser else None

    def _waiting(self, request: AuthorizationRequest) -> bool:
        returned = request.returned_at
        return (
            request.processing
            and returned is not None
            and self._clock() - returned < PROCESSING_TIMEOUT
        )

    def _notice(self, request: AuthorizationRequest | None) -> Notice | None:
        if request is None or request.returned_at is None:
            return None
        if request.processing and not self._waiting(request):
            return Notice(Reason.OUTCOME_UNKNOWN, request.reference)
        ended = request.finished_at
        if request.reason is None or ended is None or self._clock() - ended > NOTICE_SHOWN_FOR:
            return None
        return Notice(request.reason, request.reference)

    def _visible_token(self, connection: Connection | None, browser: Browser | None) -> str | None:
        """The token, in the browser whose own authorization it comes from, for a while (S18)."""
        if connection is None or browser is None or browser.completed_at is None:
            return None
        shown = self._clock() - browser.completed_at < TOKEN_SHOWN_FOR
        own = browser.completed_at == connection.connected_at
        return connection.access_token if shown and own else None

    def _now(self) -> int:
        return int(self._clock())


def check_form(settings: "Settings", visitor: Visitor, form: FormPost, tenant: str) -> None:
    """Only our own page's form starts anything (S13). Raises `CrossSiteRequest`.

    Pages are served with no-referrer, so a browser may give the origin as ``null``.
    """
    if form.fetch_site not in (None, "same-origin"):
        raise CrossSiteRequest("sent by another site")
    if form.origin not in (None, "null", settings.origin(tenant)):
        raise CrossSiteRequest("sent by another origin")
    if not links.well_formed(visitor.browser):
        raise CrossSiteRequest("no browser cookie")
    if not links.csrf_matches(form.csrf, visitor.browser or "", visitor.link or ""):
        raise CrossSiteRequest("wrong form value")
