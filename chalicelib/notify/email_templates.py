"""The mails for each journal entry and reader, as text and HTML from the same sentences. Pure. All
mail texts are here; page texts are in `texts`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from html import escape

from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import PROVIDER, LinkKind, Status
from chalicelib.untrusted_text import inert


class Reader(StrEnum):
    """Who gets a letter: the tenant's registered admin, their second contact (reminders only), or
    the reps' address."""

    ADMIN = "admin"
    SECOND = "second"
    REP = "rep"


@dataclass(frozen=True, slots=True)
class Letter:
    """One kind of mail. It may hold ``{name}``, ``{tenant}`` and ``{text}`` (the journal's words).
    ``button`` labels the link, if any."""

    subject: str
    paragraphs: tuple[str, ...]
    link: LinkKind | None = None
    button: str = ""
    most_a_day: int | None = 3
    """Maximum for one reader about one tenant in a day. The holder of a link, or a user of the
    customer's GoTo account, can repeat most events (S29). None: no limit, for events that only a
    rep or GoTo as a whole can cause."""


@dataclass(frozen=True, slots=True)
class Message:
    """A mail ready to send."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


_CONNECT = "Open your hireanalytiX page"

_LETTERS: dict[tuple[str, Reader], Letter] = {
    (Kind.LINK_REQUESTED, Reader.ADMIN): Letter(
        "Your new hireanalytiX link",
        (
            "Someone opened an old hireanalytiX link for {name} and asked for a new one. Here"
            " it is. It works for 90 days.",
            "The page shows whether hireanalytiX is connected to your GoTo phone system, and lets"
            " you connect it. If you didn't ask for a new link, you can ignore this email.",
        ),
        LinkKind.CONNECT,
        _CONNECT,
        most_a_day=1,
    ),
    (Kind.LINK_SENT, Reader.ADMIN): Letter(
        "Connect hireanalytiX to your GoTo phone system",
        (
            "hireanalytiX reads the call reports of {name} from your GoTo phone system. To do that,"
            " it needs your permission. This takes about a minute.",
            'Open the page below, click "Get Access Token", log in to GoTo as an administrator, and'
            ' click "Allow". The link works for 90 days. It is personal: please don\'t forward it.',
        ),
        LinkKind.CONNECT,
        _CONNECT,
        most_a_day=None,
    ),
    (Kind.INTAKE_SENT, Reader.ADMIN): Letter(
        "Set up GoTo access for hireanalytiX (step 1 of 2)",
        (
            "To read the call reports of {name}, hireanalytiX needs its own login to your GoTo"
            ' account. GoTo calls this an "API client". You create it in GoTo\'s developer'
            " portal, as"
            " a GoTo administrator. The page below explains each step; it takes about five"
            " minutes.",
            "In step 2, we'll email you a link to connect.",
            "Never send the client secret by email. This link works once and expires in two weeks.",
        ),
        LinkKind.INTAKE,
        "Start step 1",
        most_a_day=None,
    ),
    (Kind.CONNECTED, Reader.ADMIN): Letter(
        "hireanalytiX is connected to your GoTo phone system",
        (
            "You're all set. hireanalytiX can now read the call reports of {name} from GoTo. The"
            " connection renews itself, so there is nothing else to do.",
            "If neither you nor a colleague connected it, please tell your hireanalytiX"
            " representative.",
        ),
    ),
    (Kind.CONNECTED, Reader.REP): Letter("{tenant}: connected", ("{name} ({tenant}): {text}",)),
    (Kind.CREDENTIALS_RECEIVED, Reader.REP): Letter(
        "{tenant}: the GoTo client has arrived",
        (
            "{name} ({tenant}): {text}",
            "Next: ha-goto link send {tenant}",
        ),
    ),
    (Kind.AUTHORIZATION_MISMATCHED, Reader.ADMIN): Letter(
        "hireanalytiX refused a sign-in with a different GoTo account",
        (
            "Someone used the hireanalytiX link for {name} with a different GoTo account, or with"
            " one that we couldn't read or haven't confirmed yet. Nothing has changed.",
            "If it was you, the page tells you what to do next. If your company has moved to a new"
            " GoTo account, please tell your hireanalytiX representative.",
        ),
        most_a_day=1,
    ),
    (Kind.AUTHORIZATION_MISMATCHED, Reader.REP): Letter(
        "{tenant}: refused a sign-in with a different GoTo account",
        (
            "{name} ({tenant}): {text}",
            "There may have been more attempts: you get at most three of these emails a day. For"
            " details: ha-goto tenant show {tenant}",
            "Ask the customer which GoTo account is theirs, and confirm no other. If it is not the"
            " one already confirmed: ha-goto pin set {tenant} --account KEY",
        ),
        most_a_day=3,
    ),
    (Kind.ACCOUNT_WANTED, Reader.REP): Letter(
        "{tenant}: another customer's sign-in used this GoTo account",
        (
            "{name} ({tenant}): {text}",
            "Otherwise ask both customers which account is theirs.",
        ),
        most_a_day=1,
    ),
    (Kind.RECONNECT_SOON, Reader.ADMIN): Letter(
        "Please reconnect hireanalytiX to GoTo soon",
        (
            "The permission that {name} gave hireanalytiX in GoTo is about to expire. {text}",
            'Open the page below, click "Get Access Token", and log in to GoTo. If you do this now,'
            " your reports continue without a gap.",
        ),
        LinkKind.CONNECT,
        _CONNECT,
    ),
    (Kind.STUCK, Reader.REP): Letter(
        "{tenant}: no new token for hours",
        (
            "{name} ({tenant}): {text} Other customers are fine, so the cause is in this customer's"
            " GoTo account or client.",
            "The service keeps trying. To see what GoTo answers: ha-goto tenant show {tenant}."
            " To try at once: ha-goto refresh {tenant}. If the customer changed something at GoTo,"
            " send the admin a link to connect again: ha-goto link send {tenant}",
        ),
    ),
    (Kind.SCOPE_MISSING, Reader.ADMIN): Letter(
        "hireanalytiX needs one more permission at GoTo",
        (
            "hireanalytiX is connected to the GoTo phone system of {name}, but can't read its call"
            " reports.",
            "{text}",
            "The page below has the button.",
        ),
        LinkKind.CONNECT,
        _CONNECT,
        most_a_day=1,
    ),
    (Kind.SCOPE_MISSING, Reader.REP): Letter(
        "{tenant}: a permission is missing at GoTo",
        ("{name} ({tenant}): {text}", "The admin was told. Details: ha-goto tenant show {tenant}"),
        most_a_day=1,
    ),
    (Kind.ACCESS_FORBIDDEN, Reader.ADMIN): Letter(
        "hireanalytiX can no longer read your GoTo call reports",
        (
            "GoTo refuses to show hireanalytiX the call reports of {name}.",
            "{text}",
            "The page below has the button.",
        ),
        LinkKind.CONNECT,
        _CONNECT,
        most_a_day=1,
    ),
    (Kind.ACCESS_FORBIDDEN, Reader.REP): Letter(
        "{tenant}: GoTo refuses call reports",
        ("{name} ({tenant}): {text}", "The admin was told. Details: ha-goto tenant show {tenant}"),
        most_a_day=1,
    ),
    (Kind.ACCOUNT_GONE, Reader.ADMIN): Letter(
        "hireanalytiX can no longer read your GoTo call reports",
        (
            "hireanalytiX can no longer read the call reports of {name}.",
            "{text}",
            "The page below has the button.",
        ),
        LinkKind.CONNECT,
        _CONNECT,
        most_a_day=1,
    ),
    (Kind.ACCOUNT_GONE, Reader.REP): Letter(
        "{tenant}: the person who connected left the GoTo account",
        ("{name} ({tenant}): {text}", "The admin was told. Details: ha-goto tenant show {tenant}"),
        most_a_day=1,
    ),
    (Kind.AUTHORIZATION_SCOPE_REFUSED, Reader.REP): Letter(
        "{tenant}: a box is not checked in GoTo's developer portal",
        ("{name} ({tenant}): {text}", "The admin reads on the page what to tick."),
        most_a_day=1,
    ),
    (Kind.MAIL_BOUNCED, Reader.REP): Letter(
        "{tenant}: our emails don't reach the admin",
        (
            "{name} ({tenant}): {text}",
            "Ask the customer for the right address, then: ha-goto tenant change {tenant}"
            " --admin-email ADDRESS",
        ),
    ),
    (Kind.MAIL_COMPLAINED, Reader.REP): Letter(
        "{tenant}: the admin reported our email as spam",
        (
            "{name} ({tenant}): {text}",
            "Please call the customer. SES will send nothing more to this address.",
        ),
    ),
}

_OF_STATUS: dict[tuple[Status, Reader], Letter] = {
    (Status.REAUTHORIZATION_REQUIRED, Reader.ADMIN): Letter(
        "Please reconnect hireanalytiX to GoTo",
        (
            "GoTo no longer lets hireanalytiX read the call reports of {name}. Until you reconnect,"
            " your reports stay without new calls.",
            'Open the page below, click "Get Access Token", and log in to GoTo. It takes about a'
            " minute.",
        ),
        LinkKind.CONNECT,
        "Reconnect",
    ),
    (Status.REAUTHORIZATION_REQUIRED, Reader.REP): Letter(
        "{tenant}: the admin must reconnect",
        (
            "{name} ({tenant}): {text}",
            "We've emailed the admin a new link. For details: ha-goto tenant show {tenant}",
        ),
    ),
    (Status.CREDENTIALS_REJECTED, Reader.REP): Letter(
        "{tenant}: GoTo refuses the client",
        (
            "{name} ({tenant}): {text}",
            "Ask the customer for a new secret: ha-goto intake send {tenant}",
        ),
    ),
}

_STEPS = (
    'Open the page below, click "Get Access Token", and log in to GoTo as an administrator. It'
    " takes"
    " about a minute."
)


def _reminder(subject: str, *paragraphs: str) -> Letter:
    """A reminder, each time in other words: people don't read the same mail twice."""
    return Letter(subject, (*paragraphs, _STEPS), LinkKind.CONNECT, "Reconnect", most_a_day=1)


_REMINDERS: dict[str, Letter] = {
    Kind.REMINDED_FIRST: _reminder(
        "Reminder: hireanalytiX is not connected to GoTo",
        "{text} hireanalytiX can't read them until {name} reconnects it to GoTo.",
        "Nothing is lost so far: once you reconnect, the missing calls are added.",
    ),
    Kind.REMINDED_AGAIN: _reminder(
        "{name}: new calls are missing from your hireanalytiX reports",
        "{text} If someone in your team works with these reports, they see old numbers.",
        "If you can't log in to GoTo as an administrator yourself, please ask a colleague who can.",
    ),
    Kind.REMINDED_LAST: _reminder(
        "Last reminder: please reconnect hireanalytiX",
        "{text} This is our last email about it. Your hireanalytiX representative will contact"
        " you.",
    ),
}

_OF_PROVIDER: dict[str, Letter] = {
    Kind.PROVIDER_DOWN: Letter(
        "GoTo fails for the fleet: refreshes are held back",
        (
            "{text}",
            "No customer needs to act. You'll get one email when GoTo is back.",
        ),
        most_a_day=None,
    ),
    Kind.PROVIDER_RECOVERED: Letter("GoTo is answering again", ("{text}",), most_a_day=None),
    Kind.ANSWERS_CHANGED: Letter(
        "GoTo's answers have changed",
        (
            "{text}",
            "Connections go on. Have an engineer compare it with docs/contract.md and with ha-goto"
            " facts. You'll get no other email about the same change.",
        ),
        most_a_day=None,
    ),
}

_SAME: dict[str, str] = {Kind.RECONNECTED: Kind.CONNECTED}
"""Kinds that share another kind's letter."""


def kind_told(entry: JournalEntry) -> str:
    """The kind whose letter an entry gets."""
    return _SAME.get(entry.kind, entry.kind)


def letters(entry: JournalEntry) -> dict[Reader, Letter]:
    """The mails for an entry: none for most."""
    if entry.tenant == PROVIDER:
        letter = _OF_PROVIDER.get(entry.kind)
        return {Reader.REP: letter} if letter else {}
    if entry.kind in _REMINDERS:
        return dict.fromkeys((Reader.ADMIN, Reader.SECOND), _REMINDERS[entry.kind])
    by_reader = {
        reader: _LETTERS.get((kind_told(entry), reader))
        or (_OF_STATUS.get((entry.status, reader)) if entry.status else None)
        for reader in Reader
    }
    return {reader: letter for reader, letter in by_reader.items() if letter}


def told(entry: JournalEntry, reader: Reader) -> str:
    """The entry's text for one reader; only reps see who tried to sign in."""
    if reader is Reader.REP and entry.detail is not None:
        return f"{entry.text} {entry.detail}"
    return entry.text


def _filled(paragraph: str, values: dict[str, str]) -> str:
    """The period of a name such as *Acme Inc.* also ends the sentence."""
    name = values["name"]
    return paragraph.format(**values).replace(f"{name}.", f"{name.removesuffix('.')}.")


def write(
    letter: Letter,
    *,
    name: str,
    tenant: str,
    text: str,
    link: str | None,
    reader: Reader = Reader.ADMIN,
    answered: bool = False,
) -> Message:
    """Fill in a letter. Values never become markup or a second header (S30). ``answered``: whether
    somebody reads replies."""
    values = {"name": inert(name), "tenant": inert(tenant), "text": inert(text)}
    subject = letter.subject.format(**values)
    paragraphs = [_filled(paragraph, values) for paragraph in letter.paragraphs]
    footer = [_filled(_FOOTER, values)] if reader is not Reader.REP else []
    footer += [_QUESTIONS] if answered and reader is not Reader.REP else []
    lines = ["Hello,", *paragraphs, *([link] if link else []), "hireanalytiX", *footer]
    blocks = [f"<p>{escape(line)}</p>" for line in ["Hello,", *paragraphs]]
    if link:
        blocks.append(_BUTTON.format(url=escape(link), label=escape(letter.button)))
    footer_html = "<br>".join(map(escape, footer)) or "hireanalytiX"
    html = _HTML.format(subject=escape(subject), body="\n".join(blocks), footer=footer_html)
    return Message(subject, "\n\n".join(lines) + "\n", html)


_FOOTER = "You get this email because you are the administrator for hireanalytiX at {name}."
_QUESTIONS = "Questions? Reply to this email."

_BUTTON = (
    '<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr><td'
    ' bgcolor="#1257c7" style="background-color:#1257c7;border-radius:6px;padding:10px 18px"><a'
    ' href="{url}"'
    ' style="color:#ffffff;text-decoration:none;font-weight:bold">{label}</a></td></tr></table>\n'
    '<p style="color:#5a6478;font-size:13px;word-break:break-all">If the button does not work, copy'
    ' this address:<br><a href="{url}" style="color:#1257c7">{url}</a></p>'
)

_HTML = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark"><title>{subject}</title></head>
<body style="margin:0;padding:16px;font:16px/1.5 Arial,Helvetica,sans-serif;color:#1d2433;\
background-color:#ffffff">
<div style="max-width:600px;margin:0 auto">
<p style="font-size:18px;font-weight:bold">hireanalyti<span style="color:#1257c7">X</span></p>
{body}
<p style="border-top:1px solid #d5dbe6;padding-top:12px;color:#5a6478;font-size:13px">{footer}</p>
</div>
</body>
</html>
"""
