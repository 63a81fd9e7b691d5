"""Text from outside: GoTo's, a customer's, a rep's. What of it may enter, and how it is shown.

Pure, and the one place for these rules (S30). Whatever enters a table passes through here first;
whatever was there before is made inert where it is shown.
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
"""Unicode's categories of what shows nothing, or changes how its neighbors are shown: controls,
bidi and other format characters, halves of surrogates, private and unassigned ones, line breaks."""

_LABELED = re.compile(r"client[ _-]?(id|secret)\s*[:=]\s*", re.IGNORECASE)
_QUOTES = ('""', "''", "``", "\u201c\u201d", "\u2018\u2019", "\u201e\u201c")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(
    map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)
"""Letters and marks that show nothing all the same (Unicode's Default_Ignorable_Code_Point), and
the blank of Braille."""

_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCOPE_TOKEN = re.compile(r"[!#-\[\]-~]+")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def pasted(text: str) -> str:
    """A client id or secret as somebody copied it, without what came along: characters that show
    nothing (BOM, zero-width space, soft hyphen), blanks around it, its label, one pair of quotes.
    """
    seen = "".join(each for each in text if unicodedata.category(each) != "Cf").strip()
    bare = _LABELED.sub("", seen)
    pair = len(bare) > 2 and bare[0] + bare[-1] in _QUOTES
    return bare[1:-1].strip() if pair else bare


def printable(text: str) -> bool:
    """Whether every character of a text shows as itself."""
    return not any(map(_unseen, text))


def inert(text: str) -> str:
    """The text as any terminal, log or mail can show it: a question mark stands for what can't."""
    return "".join("?" if _unseen(character) else character for character in text)


def _unseen(character: str) -> bool:
    return character in _BLANK or unicodedata.category(character) in _UNSEEN


def principal(value: object) -> str | None:
    """Who authorized a connection, as GoTo says: printable, cut; None where nothing is left.

    It is shown within sentences, and a long text could go on with them: only an email address may
    be longer than a person's name.
    """
    if not isinstance(value, str):
        return None
    seen = (" " if _unseen(each) else each for each in value)
    text = " ".join("".join(seen).split())
    longest = LONGEST_NAME if address_fault(text) else LONGEST_ADDRESS
    return text[:longest].rstrip() or None


def account_key(value: object) -> str | None:
    """The key of a GoTo account; None for what is none, which counts as unreadable."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) if _ACCOUNT.fullmatch(str(value)) else None


def scope(value: object) -> str | None:
    """A scope (RFC 6749 3.3), each token parted by one space; None for what is none."""
    if not isinstance(value, str) or len(value) > LONGEST_SCOPE:
        return None
    tokens = [token for token in value.split(" ") if token]
    return " ".join(tokens) or None if all(map(_SCOPE_TOKEN.fullmatch, tokens)) else None


def is_bearer(token_type: object) -> bool:
    """Whether a token's type is Bearer, in whatever case (RFC 6749 7.1); one not named is."""
    if token_type in (None, ""):
        return True
    return isinstance(token_type, str) and token_type.isascii() and token_type.lower() == "bearer"


def address_fault(address: str) -> str | None:
    """What is wrong with a mail address, as one sentence; None for one that SES can take."""
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
    """A dot-atom (RFC 5322 3.2.3); quoted ones reach nobody in practice."""
    return len(text) <= LONGEST_LOCAL_PART and all(map(_ATOM.fullmatch, text.split(".")))


def _is_domain(text: str) -> bool:
    """At least two labels of RFC 1123, the last no number: that would be an IP address."""
    labels = text.split(".")
    if len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
        return False
    return len(labels[-1]) > 1 and not labels[-1].isdigit()
