"""Answers each page's request: reads it, calls one use case, builds the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import quote

from chalice.app import Request, Response

from chalicelib.aws.telemetry import logger, report
from chalicelib.config import PAGE_PATH, Settings
from chalicelib.connect.authorize import AdminVisit, check_form
from chalicelib.connect.client_form import IntakeProblem, IntakeView, IntakeVisit
from chalicelib.connect.page_views import Form
from chalicelib.connect.visitor_tokens import Refusal
from chalicelib.connect.visitors import BrowserCookies, Door
from chalicelib.errors import (
    CallbackNotAccepted,
    CrossSiteRequest,
    DependencyUnavailable,
    LinkNotUsable,
    LoginRequired,
    MalformedRequest,
    TooManyAttempts,
    VisitorError,
)
from chalicelib.goto.oauth import is_callback
from chalicelib.models import Tenant
from chalicelib.opaque import as_pasted, csrf_value, new_reference, new_value, well_formed
from chalicelib.web import http, pages, texts

_BACK = (CallbackNotAccepted, CrossSiteRequest, MalformedRequest, TooManyAttempts)
"""Problems after which the settings page is the place to go on from."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """The answers to one request."""

    request: Request
    settings: Settings
    door: Door
    visit: AdminVisit
    intake_visit: IntakeVisit

    def open_link(self, link: str) -> Response:
        """An emailed link: writes no row, sets cookies and redirects to the settings page. Asks
        first if that would replace another tenant's link (S28). A person whom HA's front names
        needs no link."""
        link = as_pasted(link)
        if self._needs_no_link():
            return http.to_settings_page(self.settings)
        try:
            tenant = self.visit.open_link(link)
        except LinkNotUsable:
            return self._dead_link_page(link)
        return self._door(f"/connect/{link}", link, tenant) or self._opened(link)

    def press_at_link(self, link: str) -> Response:
        """The button on a link's page: opens a usable link, asks for a fresh one if it is dead."""
        link = as_pasted(link)
        if self._needs_no_link():
            return http.to_settings_page(self.settings)
        try:
            tenant = self.visit.open_link(link)
        except LinkNotUsable:
            return self._fresh_link(link)
        if http.is_elsewhere(self.request, self.settings, tenant):
            return self._to_own_host(f"/connect/{link}", tenant)
        self._check_form(link, tenant)
        return self._opened(link)

    def intake_page(self, link: str) -> Response:
        """An intake link's page. Writes nothing."""
        link = as_pasted(link)
        browser = http.known_browser(self.request)
        view = self.intake_visit.page(replace(self._brought, link=link, browser=browser))
        if other := self._door(f"/intake/{link}", link, view.tenant):
            return other
        result = http.told(self.request, link)
        problems = tuple(IntakeProblem(each) for each in result.get("problems", ()))
        if not view.done:
            view = replace(view, problems=problems, client_id=result.get("client_id", ""))
        cookies = [http.browser_cookie(browser), *http.untold_cookie(self.request)]
        return self._form_page(link, view, cookies)

    def enter_credentials(self, link: str) -> Response:
        """Check and store a client. Its secret is in no answer and no log line. While the browser
        holds another tenant's link, the button only switches to this one (S28)."""
        link = as_pasted(link)
        browser_cookies = replace(self._brought, link=link)
        view = self.intake_visit.page(browser_cookies)
        if http.is_elsewhere(self.request, self.settings, view.tenant):
            return self._to_own_host(f"/intake/{link}", view.tenant)
        if self.visit.replaced(self._brought, view.tenant):
            self._check_form(link, view.tenant)
            cookies = http.switch_cookies(self.request)
            return http.redirect(self.settings, f"/intake/{link}", cookies)
        form, entered = http.form_post(self.request), http.entered_client(self.request)
        view = self.intake_visit.submit(browser_cookies, form, entered)
        result = {"problems": list(view.problems), "client_id": view.client_id}
        seal = http.told_cookie(link, http.known_browser(self.request), result)
        return http.redirect(self.settings, f"/intake/{link}", [] if view.done else [seal])

    def settings_page(self) -> Response:
        """The settings page, which is also the redirect URI: GoTo's answer arrives here."""
        browser_cookies = self._brought
        parameters = http.parameters(self.request)
        # HEAD changes nothing (S13).
        if is_callback(parameters) and self.request.method == "GET":
            renewed = self.visit.callback(browser_cookies, parameters)
            cookies = http.returned_cookies(browser_cookies, renewed)
            return http.to_settings_page(self.settings, cookies)
        cookies = []
        if browser_cookies.identity and not browser_cookies.values:  # no link has set the cookie
            browser_cookies = replace(browser_cookies, browser=new_value())
            cookies = [http.browser_cookie(browser_cookies.browser or "")]
        try:
            view = self.visit.settings_page(browser_cookies)
        except LinkNotUsable:
            return self._without_link(browser_cookies)
        form = self._form(view.tenant, PAGE_PATH)
        contact = self.settings.support_email
        page = pages.settings_page(view, form, contact=contact)
        return http.page(self.settings, page, cookies=cookies, tenant=view.tenant)

    def start(self) -> Response:
        """The button Get Access Token, or the choice of an account after it."""
        browser_cookies, form = self._brought, http.form_post(self.request)
        account = http.chosen_account(self.request)
        try:
            if account is not None:
                self.visit.choose(browser_cookies, form, account)
                return http.to_settings_page(self.settings)
            location = self.visit.start(browser_cookies, form)
        except LinkNotUsable:
            return self._without_link(browser_cookies)
        return http.redirect(self.settings, location)

    def healthz(self) -> Response:
        """The web function starts and has its settings."""
        return http.json_answer(self.settings, {"ok": True})

    def status(self) -> Response:
        """What the page polls while the credentials are being processed."""
        try:
            processing = self.visit.processing(self._brought)
        except (LinkNotUsable, LoginRequired):
            return http.json_answer(self.settings, {"processing": False}, 401)
        return http.json_answer(self.settings, {"processing": processing})

    @cached_property
    def _brought(self) -> BrowserCookies:
        """The browser's cookies, and whom HA's front names. A refused token is ignored; the log
        says why."""
        identity = self.door.identify(http.visitor_tokens(self.request), http.host_of(self.request))
        if isinstance(identity, Refusal):
            logger().warning("a visitor's token was refused", why=identity)
            identity = None
        return replace(http.browser_cookies(self.request), identity=identity)

    def _needs_no_link(self) -> bool:
        """Whether HA's front names a person. Raises `LoginRequired`."""
        self.door.check(self._brought)
        return self._brought.identity is not None

    def _without_link(self, browser_cookies: BrowserCookies) -> Response:
        """A dead link in the cookie leads to its own page, which offers a fresh one."""
        if browser_cookies.link is not None and well_formed(browser_cookies.link):
            return http.redirect(self.settings, f"/connect/{browser_cookies.link}")
        message = texts.NO_LINK
        return problem_page(self.settings, message, 401, "no link cookie")

    def _form_page(self, link: str, view: IntakeView, cookies: list[str]) -> Response:
        form = self._form(view.tenant, f"/intake/{link}")
        contact = self.settings.support_email
        page = pages.intake_page(view, form, contact=contact)
        return http.page(self.settings, page, cookies=cookies, tenant=view.tenant)

    def _form(self, tenant: Tenant, path: str) -> Form:
        return pages.form_of(self.settings, tenant, path)

    def _to_own_host(self, path: str, tenant: Tenant) -> Response:
        return http.redirect(self.settings, self._form(tenant, path).address)

    def _door(self, path: str, link: str, tenant: Tenant) -> Response | None:
        """What comes before a usable link opens: a redirect to its own host, or the question
        whether it may replace another tenant's; None if it may open (S28)."""
        if http.is_elsewhere(self.request, self.settings, tenant):
            return self._to_own_host(path, tenant)
        held = self.visit.replaced(self._brought, tenant)
        if held is None:
            return None
        browser = http.known_browser(self.request)
        csrf, form = csrf_value(browser, link), self._form(tenant, path)
        page = pages.switch_page(held, tenant, form, csrf)
        cookies = [http.browser_cookie(browser)]
        return http.page(self.settings, page, cookies=cookies, tenant=tenant)

    def _opened(self, link: str) -> Response:
        return http.to_settings_page(self.settings, http.link_cookies(self.request, link))

    def _check_form(self, link: str, tenant: Tenant | None) -> None:
        """Check a form on a link's page, before its cookie is set. Raises `CrossSiteRequest`."""
        browser_cookies = replace(http.browser_cookies(self.request), link=link)
        form = http.form_post(self.request)
        check_form(self.settings, browser_cookies, form, tenant.name if tenant else None)

    def _fresh_link(self, link: str) -> Response:
        self._check_form(link, None)
        self.visit.ask_for_fresh_link(link)
        seal = http.told_cookie(link, http.known_browser(self.request), {"mailed": True})
        return http.redirect(self.settings, f"/connect/{quote(link, safe='')}", [seal])

    def _link_mailed(self) -> Response:
        contact = self.settings.support_email
        page = pages.message_page(texts.LINK_MAILED, None, contact=contact)
        return http.page(self.settings, page, cookies=http.untold_cookie(self.request))

    def _dead_link_page(self, link: str) -> Response:
        """The page that offers a fresh link; the same for every dead link (S15)."""
        if http.told(self.request, link).get("mailed"):
            return self._link_mailed()
        browser, kind = http.known_browser(self.request), LinkNotUsable
        message, csrf = texts.ERRORS[kind], csrf_value(browser, link)
        answer = problem_page(self.settings, message, kind.status, kind.__name__, csrf=csrf)
        answer.headers["Set-Cookie"] = [http.browser_cookie(browser)]
        return answer


def problem(settings: Settings | None, cause: Exception | int) -> Response:
    """The page for an error, or for a status that no view answered with; ``settings`` None: they
    are the problem."""
    match cause:
        case VisitorError():
            kind = type(cause)
            message, name = texts.ERRORS[kind], kind.__name__
            return problem_page(settings, message, cause.status, name, back=kind in _BACK)
        case DependencyUnavailable():
            return problem_page(settings, texts.UNAVAILABLE, 503, str(cause))
        case int():
            message = texts.NOT_FOUND if cause < 500 else texts.UNAVAILABLE
            return problem_page(settings, message, cause, "unrouted")
    report("unexpected error", cause)
    return problem_page(settings, texts.UNAVAILABLE, 500, type(cause).__name__)


def problem_page(
    settings: Settings | None,
    message: tuple[str, str],
    status: int,
    cause: str,
    *,
    csrf: str | None = None,
    back: bool = False,
) -> Response:
    """A page that says what is wrong, with a reference number that is also logged."""
    reference = new_reference()
    logger().warning("error page sent", cause=cause, status=status, reference=reference)
    page = pages.message_page(
        message,
        reference,
        csrf=csrf,
        contact=settings.support_email if settings else None,
        back=back,
    )
    return http.page(settings, page, status)
