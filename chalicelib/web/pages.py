"""HTML answers: templates, and the one set of headers that every answer carries (S10, S11)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from chalicelib.config import PAGE_PATH, STATUS_PATH, Settings
from chalicelib.connect.client_form import IntakeProblem, IntakeView
from chalicelib.connect.page_views import Form, SettingsView, Whom, whom
from chalicelib.durations import HSTS_LIFETIME, PAGE_RELOAD
from chalicelib.models import Reason, Status, Tenant
from chalicelib.permissions import USELESS, scope_sentence
from chalicelib.web import texts
from chalicelib.web.history_texts import HISTORY

PORTAL = "https://developer.logmeininc.com/clients"
"""GoTo's developer portal, where the customer makes the client."""

CLIENT_NAME = "hireanalytiX"

_BESIDE = {
    "client_id": (IntakeProblem.ID_MISSING, IntakeProblem.ID_IMPOSSIBLE),
    "client_secret": (
        IntakeProblem.SECRET_MISSING,
        IntakeProblem.SECRET_IMPOSSIBLE,
        IntakeProblem.SAME_TWICE,
        IntakeProblem.REFUSED,
        IntakeProblem.SWAPPED,
        IntakeProblem.REDIRECT_UNKNOWN,
    ),
}
"""The field beside which each problem is shown. `UNCHECKED` is about neither field."""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect"
    " width='32' height='32' rx='7' fill='%231257c7'/%3E%3Cpath d='M9 9l14 14M23 9L9 23'"
    " stroke='white' stroke-width='4'/%3E%3C/svg%3E"
)

MASK = "•" * 24

_TEMPLATES = Path(__file__).parent / "templates"


def _all_set(view: SettingsView) -> bool:
    """Whether this browser has just connected, and nothing is left to do."""
    well = view.status is Status.CONNECTED and view.usable not in USELESS
    return bool(view.token) and well and not view.reconnect_soon


def settings_page(view: SettingsView, form: Form, *, contact: str | None = None) -> str:
    """The Activities Settings page. ``contact``: the email address for the customer's questions."""
    headline, advice = texts.UNUSABLE.get(view.usable) or texts.STATUSES[view.status]
    advice = advice.replace("{mend}", scope_sentence(view.lacking))
    return _render(
        "settings.html",
        view=view,
        unusable=view.usable in texts.UNUSABLE,
        status_headline=headline,
        status_advice=advice,
        notice=texts.NOTICES[view.notice.reason] if view.notice else None,
        choose=texts.NOTICES[Reason.ACCOUNT_TO_CHOOSE] if view.choices else None,
        warning=texts.RECONNECT_SOON if view.reconnect_soon else None,
        address=form.address,
        whom=_named(texts.WORDS["connects"], form.whom),
        processing_text=texts.PROCESSING,
        page_path=PAGE_PATH,
        status_path=STATUS_PATH,
        reload_seconds=PAGE_RELOAD,
        mask=MASK,
        timeline=_timeline(view),
        all_set=texts.ALL_SET if _all_set(view) else None,
        contact=contact,
    )


def _timeline(view: SettingsView) -> list[tuple[float, str, str]]:
    """Time (epoch seconds), actor and sentence of each entry that the customer may read."""
    entries = view.details.timeline if view.details else ()
    lines = [(entry.at, HISTORY.get(entry.kind)) for entry in entries]
    return [(at, texts.WORDS[line[0]], line[1]) for at, line in lines if line]


def intake_page(view: IntakeView, form: Form, *, contact: str | None = None) -> str:
    """The intake page: the steps in GoTo's portal, and the form."""
    if view.done:
        return message_page(texts.INTAKE_DONE, None, contact=contact)
    return _render(
        "intake.html",
        view=view,
        intake=texts.INTAKE_WORDS,
        address=form.address,
        whom=_named(texts.WORDS["connects"], form.whom),
        steps=texts.INTAKE_STEPS,
        notice=_intake_notice(view),
        beside={
            name: [texts.INTAKE_PROBLEMS[kind] for kind in kinds if kind in view.problems]
            for name, kinds in _BESIDE.items()
        },
        portal=PORTAL,
        contact=contact,
        client_name=CLIENT_NAME,
    )


def _intake_notice(view: IntakeView) -> str | None:
    if IntakeProblem.UNCHECKED in view.problems:
        return texts.INTAKE_PROBLEMS[IntakeProblem.UNCHECKED]
    return texts.INTAKE_WORDS["again"] if view.problems else None


def switch_page(held: Tenant, opened: Tenant, form: Form, csrf: str) -> str:
    """The question before one tenant's link replaces another's (S28)."""
    headline, advice = texts.SWITCH
    return _render(
        "switch.html",
        headline=headline,
        advice=advice,
        held=_named(texts.WORDS["open_now"], whom(held)),
        opened=_named(texts.WORDS["link_of"], whom(opened)),
        address=form.address,
        csrf=csrf,
        page_path=PAGE_PATH,
        contact=None,
    )


def _named(sentence: str, tenant: Whom | None) -> str | None:
    """A sentence that names a tenant. Unicode isolates keep right-to-left parts in their place."""
    if tenant is None:
        return None
    return sentence.format(
        **{part: f"\u2068{value}\u2069" for part, value in asdict(tenant).items()}
    )


def message_page(
    message: tuple[str, str],
    reference: str | None,
    *,
    csrf: str | None = None,
    contact: str | None = None,
    back: bool = False,
) -> str:
    """A headline, what to do next, a reference number. ``csrf`` adds the fresh-link button,
    ``back`` a link to the settings page."""
    return _render(
        "message.html",
        headline=message[0],
        advice=message[1],
        reference=reference,
        csrf=csrf,
        contact=contact,
        back=PAGE_PATH if back else None,
    )


def form_of(settings: Settings, tenant: Tenant, path: str) -> Form:
    named = whom(tenant) if settings.one_host else None
    return Form(settings.origin(tenant.name) + path, named)


def headers(settings: Settings | None, origin: str | None = None) -> dict[str, str]:
    """Headers of every answer, pages or not. Forms may go to the page's own host; with settings
    also to GoTo and to ``origin``."""
    return {
        "Content-Security-Policy": _policy(settings, origin),
        "Strict-Transport-Security": f"max-age={HSTS_LIFETIME}; includeSubDomains",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "X-Robots-Tag": "noindex, nofollow",
    }


def _policy(settings: Settings | None, origin: str | None) -> str:
    """Chromium applies form-action to redirects after a POST, so it includes GoTo's origins."""
    form_action = ["'self'"]
    if settings is not None:
        parts = urlsplit(settings.authorize_url)
        form_action += [f"{parts.scheme}://{parts.netloc}", *settings.login_origins]
        form_action += [origin] if origin else []
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src {_source_hash('page.css')}",
            f"script-src {_source_hash('page.js')}",
            "connect-src 'self'",
            "img-src data:",
            f"form-action {' '.join(form_action)}",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
    )


@cache
def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8").strip()


@cache
def _source_hash(name: str) -> str:
    """The CSP source expression of an inline style or script."""
    hashed = hashlib.sha256(_asset(name).encode()).digest()
    return f"'sha256-{base64.b64encode(hashed).decode('ascii')}'"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = _asset("page.css")
    environment.globals["script"] = _asset("page.js")
    environment.globals["icon"] = ICON
    environment.filters["iso"] = _iso
    return environment


def _render(template: str, **values: Any) -> str:
    def shown(at: float) -> str:
        return texts.moment(datetime.fromtimestamp(at, UTC))

    page = _environment().get_template(template)
    html: str = page.render(lang=texts.LANGUAGE, words=texts.WORDS, shown=shown, **values)
    return html


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
