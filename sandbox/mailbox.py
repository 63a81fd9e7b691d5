"""The mails of the local cloud, as a page for the person who runs it.

Mails contain links that open a tenant's page, so this page has an address that nobody can guess
(S34), runs no script, and shows each mail in a frame that can only open links.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'self';"
    " form-action 'none'; frame-ancestors 'self'",
    "Referrer-Policy": "no-referrer",
}

_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Mails of the local cloud</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:1rem auto;padding:0 1rem}}\
summary{{cursor:pointer;padding:.4rem 0}}details{{border-top:1px solid #ccc}}\
iframe{{width:100%;height:30rem;border:1px solid #ccc;background:#fff}}</style></head>
<body><h1>Mails of the local cloud</h1>
<p>Newest first; reload for new ones.</p>
{mails}
</body></html>
"""

_MAIL = """\
<details{shown}><summary><strong>{subject}</strong><br>to {to}</summary>
<iframe title="{subject}" sandbox="allow-popups allow-popups-to-escape-sandbox" srcdoc="{body}">\
</iframe></details>
"""

Mail = Mapping[str, Any]


class Mailbox:
    """``read`` returns the mails, oldest first; ``path`` is the page's path, new in each run."""

    def __init__(self, read: Callable[[], Sequence[Mail]]) -> None:
        self._read = read
        self.path = f"/mails/{secrets.token_urlsafe(24)}"

    def page(self) -> str:
        mails = list(reversed(self._read()))
        shown = [_mail(mail, newest=number == 0) for number, mail in enumerate(mails)]
        return _PAGE.format(mails="".join(shown) or "<p>None so far.</p>")


def _mail(mail: Mail, *, newest: bool) -> str:
    to = mail.get("To", "")
    body = mail.get("BodyHtml") or f"<pre>{escape(str(mail.get('BodyText', '')))}</pre>"
    return _MAIL.format(
        shown=" open" if newest else "",
        subject=escape(str(mail.get("Subject", ""))),
        to=escape(", ".join(to) if isinstance(to, list) else str(to)),
        body=escape(f'<base target="_blank">{body}'),
    )
