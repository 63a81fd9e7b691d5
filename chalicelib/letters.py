"""The mails: what each journal entry tells whom, as text and as HTML from the same sentences. Pure.

All words of mails are here, as those of pages are in `texts`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from html import escape

from chalicelib.model import PROVIDER, JournalEntry, LinkKind, Status


class Reader(StrEnum):
    """Who gets a letter: the tenant's registered admin, or the reps' own address."""

    ADMIN = "admin"
    REP = "rep"


@dataclass(frozen=True, slots=True)
class Letter:
    """One kind of mail. ``{name}``, ``{tenant}`` and ``{text}`` (the journal's own words) may stand
    in it. ``button`` labels the link where one is brought."""

    subject: str
    paragraphs: tuple[str, ...]
    link: LinkKind | None = None
    button: str = ""
    daily: bool = False
    """Sent once a day to a tenant at most: what brings it about can be repeated by a stranger."""


@dataclass(frozen=True, slots=True)
class Message:
    """A mail as it is sent."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


_CONNECT = "Open your hireanalytiX page"

_LETTERS: dict[tuple[str, Reader], Letter] = {
    ("link_requested", Reader.ADMIN): Letter(
        "Your hireanalytiX link to GoTo",
        (
            "Somebody opened an old hireanalytiX link of {name} and asked for a new one. Here it"
            " is; it works for 90 days.",
            "The page shows whether hireanalytiX is connected to your GoTo phone system, and lets"
            " you connect it. If you did not ask for this, there is nothing you need to do.",
        ),
        LinkKind.CONNECT,
        _CONNECT,
    ),
    ("link_sent", Reader.ADMIN): Letter(
        "Connect hireanalytiX to your GoTo phone system",
        (
            "hireanalytiX reads the call reports of {name} from your GoTo phone system. For that it"
            " needs your permission, which takes about a minute.",
            "Open the page below, press Get Access Token, log in to GoTo as an administrator and"
            " press Allow. The link works for 90 days; please do not pass it on.",
        ),
        LinkKind.CONNECT,
        _CONNECT,
    ),
    ("intake_sent", Reader.ADMIN): Letter(
        "hireanalytiX: your GoTo client",
        (
            "To read the call reports of {name}, hireanalytiX needs a client that you create in"
            " GoTo's developer portal. The page below leads you through it in about five minutes,"
            " and takes the client ID and the client secret.",
            "Please never mail a secret. The link works once, for two weeks.",
        ),
        LinkKind.INTAKE,
        "Enter your GoTo client",
    ),
    ("connected", Reader.ADMIN): Letter(
        "hireanalytiX is connected to your GoTo phone system",
        (
            "hireanalytiX can now read the call reports of {name} from GoTo. The connection renews"
            " itself; there is nothing you need to do.",
            "If it was not you or a colleague who connected it, please tell your hireanalytiX"
            " representative.",
        ),
    ),
    ("connected", Reader.REP): Letter("{tenant}: connected", ("{name} ({tenant}): {text}",)),
    ("credentials_received", Reader.REP): Letter(
        "{tenant}: the GoTo client has arrived",
        (
            "{name} ({tenant}) has entered client id and secret, and GoTo accepts them.",
            "Next: link send {tenant}",
        ),
    ),
    ("authorization_mismatched", Reader.ADMIN): Letter(
        "hireanalytiX refused a sign-in with another GoTo account",
        (
            "Somebody used the hireanalytiX link of {name} with a GoTo account that is not the"
            " one it is connected to, or whose account could not be read. Nothing has changed.",
            "If it was you: log out of GoTo and try again with the right account. If your company"
            " has moved to a new GoTo account, please tell your hireanalytiX representative.",
        ),
        daily=True,
    ),
    ("authorization_mismatched", Reader.REP): Letter(
        "{tenant}: a sign-in with another GoTo account was refused",
        (
            "{name} ({tenant}): {text}",
            "If the customer has moved to a new GoTo account: pin lift {tenant}",
        ),
        daily=True,
    ),
    ("reconnect_soon", Reader.ADMIN): Letter(
        "Please reconnect hireanalytiX to GoTo",
        (
            "The permission that {name} gave hireanalytiX at GoTo is about to end. {text}",
            "Open the page below, press Get Access Token and log in to GoTo. All goes on without a"
            " break.",
        ),
        LinkKind.CONNECT,
        _CONNECT,
    ),
    ("mail_bounced", Reader.REP): Letter(
        "{tenant}: mails do not reach the admin",
        (
            "{name} ({tenant}): {text}",
            "Ask the customer for the right address: tenant change {tenant} --admin-email ADDRESS",
        ),
    ),
    ("mail_complained", Reader.REP): Letter(
        "{tenant}: the admin has reported our mail as spam",
        (
            "{name} ({tenant}): {text}",
            "Please call the customer. SES sends nothing more to this address.",
        ),
    ),
}

_OF_STATUS: dict[tuple[Status, Reader], Letter] = {
    (Status.REAUTHORIZATION_REQUIRED, Reader.ADMIN): Letter(
        "Please reconnect hireanalytiX to GoTo",
        (
            "GoTo no longer accepts the permission that {name} once gave hireanalytiX. Until it is"
            " given again, no call reports are read.",
            "Open the page below, press Get Access Token and log in to GoTo. It takes about a"
            " minute.",
        ),
        LinkKind.CONNECT,
        _CONNECT,
    ),
    (Status.REAUTHORIZATION_REQUIRED, Reader.REP): Letter(
        "{tenant}: the admin must reconnect",
        (
            "{name} ({tenant}): {text}",
            "The admin has been mailed a fresh link. Details: tenant show {tenant}",
        ),
    ),
    (Status.CREDENTIALS_REJECTED, Reader.REP): Letter(
        "{tenant}: GoTo refuses the client",
        (
            "{name} ({tenant}): {text}",
            "Ask the customer for a new secret: intake send {tenant}",
        ),
    ),
}

_OF_PROVIDER: dict[str, Letter] = {
    "provider_down": Letter(
        "GoTo does not answer: refreshes are held back",
        (
            "{text}",
            "No customer needs to act. You get one mail when it is over.",
        ),
    ),
    "provider_recovered": Letter("GoTo answers again", ("{text}",)),
}

_SAME = {"reconnected": "connected"}
"""Kinds that are told as others are."""


def letters(entry: JournalEntry) -> dict[Reader, Letter]:
    """Which mails an entry brings about: none for most."""
    if entry.tenant == PROVIDER:
        told = _OF_PROVIDER.get(entry.kind)
        return {Reader.REP: told} if told else {}
    kind = _SAME.get(entry.kind, entry.kind)
    found = {
        reader: _LETTERS.get((kind, reader))
        or (_OF_STATUS.get((entry.status, reader)) if entry.status else None)
        for reader in Reader
    }
    return {reader: letter for reader, letter in found.items() if letter}


def write(letter: Letter, *, name: str, tenant: str, text: str, link: str | None) -> Message:
    """Fill a letter in. What is filled in is never markup."""
    values = {"name": name, "tenant": tenant, "text": text}
    subject = letter.subject.format(**values)
    said = [paragraph.format(**values) for paragraph in letter.paragraphs]
    lines = ["Hello,", *said, *([link] if link else []), "hireanalytiX"]
    blocks = [f"<p>{escape(line)}</p>" for line in ["Hello,", *said]]
    if link:
        blocks.append(_BUTTON.format(url=escape(link), label=escape(letter.button)))
    html = _HTML.format(subject=escape(subject), body="\n".join(blocks))
    return Message(subject, "\n\n".join(lines) + "\n", html)


_BUTTON = (
    '<p><a href="{url}" style="display:inline-block;padding:10px 18px;border-radius:6px;'
    'background:#1257c7;color:#ffffff;text-decoration:none;font-weight:bold">{label}</a></p>\n'
    '<p style="color:#5a6478;font-size:13px">If the button does not work, copy this address:<br>'
    "{url}</p>"
)

_HTML = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{subject}</title></head>
<body style="font:16px/1.5 Arial,Helvetica,sans-serif;color:#1d2433">
{body}
<p>hireanalytiX</p>
</body>
</html>
"""
