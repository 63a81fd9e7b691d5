"""Text from GoTo, customers and reps: what we accept, and how we show it.

Pure, and the only place for these rules (S30). Text passes through here before it enters a table;
older text is made inert when it is shown.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST_NAME = 64
"""Characters of a person's name."""

LONGEST_SCOPE = 4_096
LONGEST_ADDRESS = 254
"""Characters of a mail address: what fits the path of an SMTP command (RFC 5321 4.5.3.1.3)."""

LONGEST_LOCAL_PART = 64

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories that are invisible or change how their neighbors look: controls, bidi and
other format characters, surrogates, private and unassigned characters, line breaks."""

_LABELED = re.compile(r"client[ _-]?(id|secret)\s*[:=]\s*", re.IGNORECASE)
_QUOTES = ('""', "''", "``", "\u201c\u201d", "\u2018\u2019", "\u201e\u201c")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(
    map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)
"""Invisible letters and marks (Unicode's Default_Ignorable_Code_Point), and the Braille blank."""

_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCOPE_TOKEN = re.compile(r"[!#-\[\]-~]+")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def pasted(text: str) -> str:
    """A pasted client id or secret without invisible characters (BOM, zero-width space, soft
    hyphen), blanks around it, its label, and one pair of quotes."""
    visible = "".join(each for each in text if unicodedata.category(each) != "Cf").strip()
    bare = _LABELED.sub("", visible)
    pair = len(bare) > 2 and bare[0] + bare[-1] in _QUOTES
    return bare[1:-1].strip() if pair else bare


def printable(text: str) -> bool:
    """Whether every character of a text shows as itself."""
    return not any(map(_unseen, text))


def inert(text: str) -> str:
    """The text, safe for any terminal, log or mail: unsafe characters become question marks."""
    return "".join("?" if _unseen(character) else character for character in text)


def _unseen(character: str) -> bool:
    return character in _BLANK or unicodedata.category(character) in _UNSEEN


def principal(value: object) -> str | None:
    """The person who authorized a connection, from GoTo: printable and cut; None if empty.

    We show it within sentences, which a long text could continue: only an email address may be
    longer than a person's name.
    """
    if not isinstance(value, str):
        return None
    characters = (" " if _unseen(each) else each for each in value)
    text = " ".join("".join(characters).split())
    longest = LONGEST_NAME if address_fault(text) else LONGEST_ADDRESS
    return text[:longest].rstrip() or None


def account_key(value: object) -> str | None:
    """The key of a GoTo account; None for anything else, which counts as unreadable."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) if _ACCOUNT.fullmatch(str(value)) else None


def scope(value: object) -> str | None:
    """A scope (RFC 6749 3.3) with one space between tokens; None if it is not valid."""
    if not isinstance(value, str) or len(value) > LONGEST_SCOPE:
        return None
    tokens = [token for token in value.split(" ") if token]
    return " ".join(tokens) or None if all(map(_SCOPE_TOKEN.fullmatch, tokens)) else None


def is_bearer(token_type: object) -> bool:
    """Whether a token type is Bearer in any case (RFC 6749 7.1), or missing."""
    if token_type in (None, ""):
        return True
    return isinstance(token_type, str) and token_type.isascii() and token_type.lower() == "bearer"


def address_fault(address: str) -> str | None:
    """What is wrong with a mail address, in one sentence; None if SES can take it."""
    if not address.isascii():
        return (
            "An email address must be in ASCII: write an internationalized domain as xn--..., and"
            " ask for an address without accents before the @."
        )
    if address.lower().startswith("mailto:"):
        return "Enter the email address alone, without mailto:."
    local, at, domain = address.rpartition("@")
    if at and len(address) <= LONGEST_ADDRESS and _is_local(local) and _is_domain(domain):
        return None
    return "This is not one email address such as name@example.com."


def _is_local(text: str) -> bool:
    """A dot-atom (RFC 5322 3.2.3); quoted local parts reach nobody in practice."""
    return len(text) <= LONGEST_LOCAL_PART and all(map(_ATOM.fullmatch, text.split(".")))


def _is_domain(text: str) -> bool:
    """At least two labels (RFC 1123), the last not a number: that would be an IP address."""
    labels = text.split(".")
    if len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
        return False
    return len(labels[-1]) > 1 and not labels[-1].isdigit()
