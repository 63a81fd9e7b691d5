"""HTML answers: templates, and the one set of headers that every answer carries (S10, S11)."""

import base64
import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from chalicelib.authorize import SettingsView
from chalicelib.config import PAGE_PATH, STATUS_PATH, Settings
from chalicelib.intake import IntakeView
from chalicelib.languages import ENGLISH, Catalogue, Message
from chalicelib.model import IntakeProblem
from chalicelib.times import HSTS_LIFETIME, PAGE_RELOAD

PORTAL = "https://developer.logmeininc.com/clients"
"""GoTo's developer portal, where the customer makes the client."""

CLIENT_NAME = "hireanalytiX"

_BESIDE = {
    "client_id": (IntakeProblem.ID_MISSING, IntakeProblem.ID_IMPOSSIBLE),
    "client_secret": (
        IntakeProblem.SECRET_MISSING,
        IntakeProblem.SECRET_IMPOSSIBLE,
        IntakeProblem.REFUSED,
    ),
}
"""The field beside which each problem is told; the one that is left is about none."""

MASK = "•" * 24

_TEMPLATES = Path(__file__).parent / "templates"


def settings_page(view: SettingsView, words: Catalogue = ENGLISH) -> str:
    """The Activities Settings page."""
    headline, advice = words.STATUSES[view.status]
    return _render(
        "settings.html",
        words,
        view=view,
        status_headline=headline,
        status_advice=advice,
        notice=words.NOTICES[view.notice.reason] if view.notice else None,
        warning=words.RECONNECT_SOON if view.reconnect_soon else None,
        processing_text=words.PROCESSING,
        page_path=PAGE_PATH,
        status_path=STATUS_PATH,
        reload_seconds=PAGE_RELOAD,
        mask=MASK,
    )


def intake_page(view: IntakeView, words: Catalogue = ENGLISH) -> str:
    """The credential intake: the way through GoTo's portal, and the form."""
    if view.done:
        return message_page(words.INTAKE_DONE, None, words)
    return _render(
        "intake.html",
        words,
        view=view,
        intake=words.INTAKE_WORDS,
        steps=words.INTAKE_STEPS,
        notice=_intake_notice(view, words),
        beside={
            name: [words.INTAKE_PROBLEMS[kind] for kind in kinds if kind in view.problems]
            for name, kinds in _BESIDE.items()
        },
        portal=PORTAL,
        client_name=CLIENT_NAME,
    )


def _intake_notice(view: IntakeView, words: Catalogue) -> str | None:
    if IntakeProblem.UNCHECKED in view.problems:
        return words.INTAKE_PROBLEMS[IntakeProblem.UNCHECKED]
    return words.INTAKE_WORDS["again"] if view.problems else None


def message_page(
    message: Message, reference: str | None, words: Catalogue = ENGLISH, *, fresh_link: bool = False
) -> str:
    """A headline, what to do next, a reference number; the fresh-link button where asked."""
    return _render(
        "message.html",
        words,
        headline=message[0],
        advice=message[1],
        reference=reference,
        fresh_link=fresh_link,
    )


def headers(settings: Settings | None) -> dict[str, str]:
    """Headers of every answer, pages or not. Without settings, forms may go nowhere."""
    return {
        "Content-Security-Policy": _policy(settings),
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


def _policy(settings: Settings | None) -> str:
    """Chromium applies form-action to the redirects after a POST: GoTo's origins stand in it."""
    form_action = ["'self'"]
    if settings is not None:
        parts = urlsplit(settings.authorize_url)
        form_action += [f"{parts.scheme}://{parts.netloc}", *settings.login_origins]
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
    environment.globals["style"] = Markup(_asset("page.css"))  # noqa: S704 # nosec B704 - our own
    environment.globals["script"] = Markup(_asset("page.js"))  # noqa: S704 # nosec B704 - our own
    environment.filters["iso"] = _iso
    return environment


def _render(template: str, words: Catalogue, **values: Any) -> str:
    def shown(at: float) -> str:
        return words.moment(datetime.fromtimestamp(at, UTC))

    return (
        _environment()
        .get_template(template)
        .render(lang=words.LANGUAGE, words=words.WORDS, shown=shown, **values)
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
