"""What the rep reads of a tenant's state: what it means, and what to do next. Pure.

Commands are named as the rep's program has them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.model import Connection, Grant, JournalEntry, Status, Tenant, ends_soon

MEANINGS: dict[Status, str] = {
    Status.AWAITING_CREDENTIALS: "Waiting for the client id and secret of the customer's GoTo.",
    Status.AWAITING_AUTHORIZATION: "Waiting for the customer's admin to press Get Access Token.",
    Status.CONNECTED: "Connected; the token renews itself.",
    Status.DEGRADED: "The token has run out and could not be renewed yet; the service tries on.",
    Status.REAUTHORIZATION_REQUIRED: "GoTo no longer accepts the permission the admin once gave.",
    Status.CREDENTIALS_REJECTED: "GoTo no longer accepts the client id or secret.",
    Status.DISCONNECTED: "Disconnected by the rep; nothing is read from GoTo.",
}
"""One sentence for each state."""

NEEDS_A_PERSON = (Status.REAUTHORIZATION_REQUIRED, Status.CREDENTIALS_REJECTED)
"""States that nothing but a person's act ends."""


BOUNCES = ("mail_bounced", "mail_complained")
BEGINNINGS = ("tenant_added", "imported")
LINKS_END = ("links_revoked", *BEGINNINGS)
"""Kinds of journal entries; what was told before a tenant's beginning is of a tenant that was
removed."""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything known of one tenant that bears on what to do next. No secret among it."""

    tenant: Tenant
    status: Status
    now: float
    connection: Connection | None = None
    grant: Grant | None = None
    provider_down: bool = False
    timeline: tuple[JournalEntry, ...] = ()

    def last(self, *kinds: str, until: tuple[str, ...] = ()) -> JournalEntry | None:
        """The newest entry of one of these kinds, as far as the timeline goes back; None where one
        of ``until`` came after it."""
        found = next((each for each in self.timeline if each.kind in (*kinds, *until)), None)
        return found if found and found.kind in kinds else None

    @property
    def change(self) -> JournalEntry | None:
        """The newest entry that changed the connection's state, likewise."""
        return next((entry for entry in self.timeline if entry.status is not None), None)


def next_action(case: Case) -> str:
    """What the rep does now, in plain words."""
    if case.last(*BOUNCES, until=("address_changed", *BEGINNINGS)) is not None:
        return (
            "Mails do not reach the admin. Ask the customer for the right address and enter it:"
            f" tenant change {case.tenant.name} --admin-email ADDRESS."
        )
    return _OF_STATUS[case.status](case)


def _credentials(case: Case) -> str:
    name = case.tenant.name
    sent = case.last("intake_sent", "intake_created", until=LINKS_END)
    if sent is None:
        return f"Send the customer the one-time form for their GoTo client: intake send {name}."
    return (
        f"The customer has had the form for their GoTo client since {_day(sent.at)}. Remind them,"
        f" or send a new one: intake send {name}."
    )


def _authorization(case: Case) -> str:
    name = case.tenant.name
    sent = case.last("link_sent", "link_created", until=LINKS_END)
    if sent is None:
        return f"Send the admin the link to connect: link send {name}."
    return (
        f"The admin has had the link since {_day(sent.at)}. Remind them, or send it again:"
        f" link send {name}."
    )


def _connected(case: Case) -> str:
    connection = case.connection
    if connection is None or not ends_soon(connection, case.now):
        return "Nothing."
    return (
        "GoTo has not extended the permission. Ask the admin to press Get Access Token before"
        f" {_day(connection.reconnect_by or 0)}; mail them the link: link send {case.tenant.name}."
    )


def _degraded(case: Case) -> str:
    tried = case.grant is not None and case.grant.failures > 0
    if case.change is not None and case.change.kind == "imported" and not tried:
        return "Nothing: it was imported, and its first refresh comes within minutes."
    if case.provider_down:
        return "Nothing for this customer: GoTo does not answer for anybody, the service tries on."
    return (
        "Nothing yet: the service tries on by itself. If it lasts longer than an hour, tell the"
        " operator; to try at once: refresh " + case.tenant.name + "."
    )


def _reauthorize(case: Case) -> str:
    return (
        "Ask the admin to open the link that was mailed to them, press Get Access Token and log in"
        f" to GoTo. To mail it again: link send {case.tenant.name}."
    )


def _rejected(case: Case) -> str:
    name = case.tenant.name
    if case.grant is not None and case.grant.client_id != case.tenant.client_id:
        return (
            "Another client has been entered since, which the admin must connect. Mail them the"
            f" link: link send {name}."
        )
    return (
        "Ask the customer for a new client id and secret from GoTo's developer portal:"
        f" intake send {name} (or, if you have them, credentials set {name}). If it is the same"
        " client with a new secret, it goes on by itself; a new client must be connected anew."
    )


def _disconnected(case: Case) -> str:
    if case.grant is not None and case.grant.next_refresh_at is not None:
        return "Nothing: GoTo could not be told yet; the service goes on trying by itself."
    return f"Nothing. If the customer wants to come back: link send {case.tenant.name}."


_OF_STATUS = {
    Status.AWAITING_CREDENTIALS: _credentials,
    Status.AWAITING_AUTHORIZATION: _authorization,
    Status.CONNECTED: _connected,
    Status.DEGRADED: _degraded,
    Status.REAUTHORIZATION_REQUIRED: _reauthorize,
    Status.CREDENTIALS_REJECTED: _rejected,
    Status.DISCONNECTED: _disconnected,
}


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%-d %B %Y, %H:%M} UTC"
