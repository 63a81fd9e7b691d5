"""Values that stand for a person or a browser: emailed links, browser binding, CSRF, state. Pure. A
value that grants access is 256 random bits; tables hold only its SHA-256 (S01, S14)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from urllib.parse import unquote

_OPAQUE = re.compile(r"[A-Za-z0-9_-]{43}")
_PASTED = re.compile(r"\s*([A-Za-z0-9_-]{43})[^A-Za-z0-9]*")
_REFERENCE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def new_value() -> str:
    """A fresh value of 256 random bits: a link, a state, a browser's secret."""
    return secrets.token_urlsafe(32)


def well_formed(value: str | None) -> bool:
    """Whether a value could be one of ours; saves looking up anything else."""
    return value is not None and _OPAQUE.fullmatch(value) is not None


def as_pasted(text: str) -> str:
    """The value in a pasted link, percent-decoded, without blanks around it or punctuation after
    it. Any other text is returned unchanged."""
    match = _PASTED.fullmatch(unquote(text))
    return match[1] if match else text


def digest(value: str) -> str:
    """The SHA-256, in hex, under which a link or a state is stored."""
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()


def browser_digest(browser: str, tenant: str) -> str:
    """A browser's id at one tenant; its ids at two tenants can't be linked."""
    return digest(f"browser\n{tenant}\n{browser}")


def next_browser(browser: str, state: str) -> str:
    """The browser's new value after it came back with this state (S02). Anyone who planted or
    copied the old value doesn't know the state, so can't derive the new one."""
    derived = hashlib.sha256(f"browser\n{browser}\n{state}".encode()).digest()
    return base64.urlsafe_b64encode(derived).rstrip(b"=").decode("ascii")


def csrf_value(browser: str, link: str) -> str:
    """The value that a form must carry: only the page shown to this browser knows it (S13)."""
    return hmac.new(browser.encode(), f"csrf\n{digest(link)}".encode(), hashlib.sha256).hexdigest()


def csrf_matches(given: str, browser: str, link: str) -> bool:
    """Compare in constant time; ``given`` may be any text."""
    return hmac.compare_digest(given.encode(), csrf_value(browser, link).encode())


def told_seal(browser: str, link: str, text: str) -> str:
    """Proves that we gave a text to this browser at this link."""
    return hmac.new(
        browser.encode(), f"told\n{digest(link)}\n{text}".encode(), hashlib.sha256
    ).hexdigest()


def told_sealed(given: str, browser: str, link: str, text: str) -> bool:
    """Compare in constant time; ``given`` may be any text."""
    return hmac.compare_digest(given.encode(), told_seal(browser, link, text).encode())


def new_reference() -> str:
    """A number to read out on the phone: 10 characters, none that look alike."""
    characters = "".join(secrets.choice(_REFERENCE_ALPHABET) for _ in range(10))
    return f"{characters[:5]}-{characters[5:]}"
