"""Every constant of time, with its reason. Seconds unless a line says days. Pure.

They lean on one another: a request to GoTo is shorter than what a function must have left to ask,
that is shorter than what it must have left to begin, and the lease outlasts the function.
`tests/unit/test_times.py` holds them to it, and to the functions' timeouts in the template.
"""

from __future__ import annotations

import hashlib

DAY = 86_400

# --- The admin's way

REQUEST_LIFETIME = 600
"""For which an authorization request may stay open (S01: ten minutes at most)."""

RETURN_PATIENCE = 900
"""After a press, until nobody is expected back from GoTo: the request lives for ten minutes."""

PROCESSING_TIMEOUT = 60
"""After the callback, until the page stops waiting (F21)."""

TIME_TO_CHOOSE = 3_600
"""In which an admin who has several GoTo accounts says which one is meant; then the new tokens are
revoked (S26)."""

TOLD_KEPT = 60
"""For which the page that a form leads to can tell what came of it."""

PAGE_RELOAD = 3
"""Between looks at the processing state without scripts; with them, page.js decides."""

NOTICE_SHOWN_FOR = 600
"""For which the page goes on telling how the last authorization request ended."""

TOKEN_SHOWN_FOR = 600
"""For which the browser that completed an authorization may read the token (S18)."""

VISITOR_TOKEN_LIFETIME = 300
"""At most, from now to a visitor token's ``exp``: it travels from HA's front to here, and clocks
may be off by a minute or two."""

SHARED_KEYS_KEPT = 60
"""For which keys that we share are not read again: so long a withdrawn one may go on to serve."""

STARTS_KEPT = 2 * DAY
"""For which the counts of a person's starts are kept: the day's must not begin anew within it."""

MAIL_PAUSE = DAY
"""Between two mails with a fresh link to the same admin: who holds an old link brings them about,
and an admin who calls them spam gets no mail at all any more (S15, S29)."""

LINK_LIFETIME = 90 * DAY
"""For which an emailed link serves: a quarter in which the admin may come back to the mail."""

INTAKE_LIFETIME = 14 * DAY
"""For which a link of the credential intake serves, once: it takes a secret."""

INTAKE_TIMEOUT = 23
"""For the intake's answer: longer than that function may run, shorter than the web's time. It is
asked once: what it was given is checked at GoTo."""

HSTS_LIFETIME = 2 * 365 * DAY
"""For which a browser keeps to https (RFC 6797 6.1.1); what browsers' preload lists ask for."""

# --- What GoTo's tokens live

ASSUMED_LIFETIME = 3_600
"""Of an access token whose answer gives no usable ``expires_in`` (GoTo's own)."""

LONGEST_LIFETIME = 10 * 365 * DAY
"""To which a longer ``expires_in`` or ``exp`` is cut: no date runs out of its type."""

REFRESH_TOKEN_LIFETIME = 30 * DAY
"""Of a GoTo refresh token from its issue, not from its last use."""

WARN_DAYS = (2, 7)
"""Days before the end of a grant at which its people are told, the most urgent first."""

REMINDED_AFTER = (1, 3, 7)
"""Days after the end of a connection on which its people are asked again to reconnect. With the
first mail that makes four; after them the rep's list is the place (`ha-goto status`)."""

REMINDER_WINDOW = 6 * 3_600
"""For which a reminder that is due is still sent: an outage of the tick loses none."""

REMINDER_TURN = 600
"""Between looks for reminders that are due."""

# --- When a refresh is due

REFRESH_LEAD = 120
"""Of life left at which a refresh is due at the latest: two ticks."""

LONGEST_REFRESH_PAUSE = DAY
"""Between refreshes: GoTo hands out a new refresh token only to those who ask."""

BACKOFF_LEAST = 5
BACKOFF_BASE = 30
BACKOFF_CAP = 900
"""Least, first and longest pause after a failed refresh."""

TICK_WORKS_FOR = 55.0
"""Of a tick's minute in which requests are begun: the next tick's share comes after."""

TICK_IN_TIME = 60.0
"""In which a tick is on time: then the next one begins."""

CONNECT_IN_TIME = 10.0
"""From the admin's return to the commit that are promised to 95 of 100: about as long as a
person looks at a page that waits."""


CIRCUIT_TURN = 45
"""Between decisions on GoTo as a whole at least: a tick delivered twice decides once (F17)."""

# --- One refresh

ASK_DEADLINE = 30.0
"""For a token request in all; shorter than the timeout of every function that sends one, but the
intake's (`CHECK_DEADLINE`)."""

TIME_TO_ASK = 45.0
"""That must be left to ask: GoTo's deadline, and half as much to keep its answer. Who lacks them
has perhaps outlived the lease, and another may be asking."""

SECRET_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Between attempts at a secret that was made just now; the customer waits at the form."""

TIME_FOR_ONE = 60.0
"""That must be left to begin with a tenant (F20)."""

LEASE_MARGIN = 300
"""By which a lease outlasts the function: also covers clocks five minutes apart (F15)."""

CONFIRM_PAUSE = 300
"""Between a refusal and the one that confirms it (F10, F11): longer than the minute or three for
which GoTo has been seen at other servers to refuse what is good, and than the two turns after which
refusals of many count as GoTo's own affair (F26)."""

CONFIRM_ALONE = 1_200
"""From a refusal to the one that confirms it where GoTo has given nobody tokens since: a small
fleet cannot tell a dead grant from GoTo's bad quarter of an hour sooner (F26)."""

END_GRACE = DAY
"""Past a refresh token's own end, for which one is still tried that GoTo could not be asked about:
the outage may be over before, and GoTo may have extended it (F25)."""

KEPT_AFTER_REFUSAL = 7 * DAY
"""For which the refresh token of an ended grant is kept: in a week somebody has noticed that GoTo
was wrong, and `ha-goto retry` needs nobody at the customer's (F26)."""

STUCK_AFTER = 6 * 3_600
"""After which the rep hears of a tenant that alone gets no token: an outage of GoTo's is over by
then, mostly, and it would be everybody's (F25)."""

LONGEST_WAIT = 3_600
"""That GoTo may ask us to wait (Retry-After): the life of an access token."""

RESCUE_PATIENCE = 3_600
"""After an unknown outcome, for which nothing is asked while the rescue queue holds anything: it
may be this tenant's answer, and the old refresh token must not be shown again. Ten deliveries of
the queue; after them GoTo is asked, and may answer. What it refuses then is not believed as long as
anything waits: nobody is told to connect again whose tokens may be there (F10)."""

ANSWER_LOST_AFTER = DAY
"""After an unknown outcome, from which a refusal is believed even if the rescue queue holds
something: each answer has been offered ten times by then; what waits longer is a revocation."""

REVOKE_AGAIN = 300
"""Until GoTo is asked again to revoke a token: twice before `RescueWaits` rings, so that one answer
of a proxy in between calls nobody."""

KEEP_FIRST_PAUSE = 0.1
KEEP_LONGEST_PAUSE = 5.0
"""Between attempts to keep tokens that GoTo has already issued; doubled each time."""

TIME_TO_COMMIT = 12.0
"""That one commit may take where DynamoDB hangs: all its attempts, and a pause."""

TIME_TO_END = 5.0
"""Of the function's time that no further attempt to keep them may use up."""

# --- A refresh on demand

LONGEST_MINIMUM = 1_800
"""For which a service may ask a token to be valid; half of what GoTo's tokens live."""

SETTLED_FOR = 60
"""After a refresh, in which no service has another one done: the schedule comes as often."""

DEMAND_SAVED = 10
"""For which requests on demand that nobody sent may be made up for, at once: ten tokens that are
rejected together need not wait for one another, and a burst stays a small one."""

FACTS_AGAIN = 60
"""After which a rep may have GoTo's answers compared again with the same tenant's client, and the
life of the ticket for it: it is used at once."""

DEMAND_AGAIN = 20
"""After which a service asks again where others have used up what requests on demand may take."""

READ_AGAIN = 2
"""After which a service that met another worker reads the table again."""

WHILE_DOWN = 60
"""After which a service asks again while GoTo counts as down: the next tick's probe."""

REFRESH_TIMEOUT = 45
"""For the answer of a refresh at the rep's word: a request to GoTo and what goes with it. It is
asked once, like the intake."""

# --- Calls

OUTBOUND_CONNECT_TIMEOUT = 5.0
OUTBOUND_READ_TIMEOUT = 20.0
"""Without a byte; GoTo's answers usually take well under one second."""

PROBE_EVERY = 20 * 3_600
PROBE_JITTER = 5_400
"""Seconds between two probes of a connection, and how far they spread: with a refresh on either
side and a second look, what is lost is found within a day (F33)."""

PROBE_CONFIRMED_AFTER = 600
"""Seconds after which a first bad word of a daily probe is checked by a second: GoTo, too, refuses
good tokens for minutes."""

PROBE_GAP = 0.5
"""Seconds between two probes of one function: a rate of their own, so that refreshes never wait."""

LONGEST_PROBE = 5.0
"""Seconds; a probe that took longer met an API that hangs."""

PROBES_REST = 60.0
"""Seconds for which the function then probes nobody."""

CHECK_DEADLINE = 10.0
"""To hear whether GoTo knows a client: a person is waiting, and the intake's function does not run
for longer."""

REDIRECT_DEADLINE = 3.0
"""To hear whether GoTo knows a redirect URI. It comes on top of `CHECK_DEADLINE`, and is only worth
a moment: no answer counts as yes."""

SIDE_DEADLINE = 8.0
"""For the account look-up and for a revocation: the admin is waiting."""

TIME_TO_READ_ACCOUNT = SIDE_DEADLINE + TIME_TO_COMMIT + TIME_TO_END
"""That must be left to look up the account of tokens in hand: they are still to be kept."""

ACCOUNTS_IN_VAIN = 2 * SIDE_DEADLINE
"""After which an invocation looks up no more accounts for which GoTo had no answer: while that API
hangs, every tenant's refresh would wait for it."""

AWS_CONNECT_TIMEOUT = 2
AWS_READ_TIMEOUT = 8
AWS_ATTEMPTS = 3
"""For one call to an AWS service."""

KEEP_READ_TIMEOUT = 4
KEEP_ATTEMPTS = 2
"""The same for DynamoDB and SQS, which keep what GoTo has given: one that hangs must leave time for
the other. They usually answer within a tenth of a second."""

CALLER_DEADLINE = 5.0
"""For STS to say who a rep is: the rep is waiting."""

CALLER_PROOF_LIFE = 60
"""For which a rep's proof of who they are is good, before and after the second that it names (S32).
It is used at once; the rest is for clocks that differ. AWS would allow them five minutes, but a
clock that is set by NTP is not off by one, and the refusal says by how much it is."""

CONFLICT_PAUSE = 0.05
"""Before a write that met a transaction is tried again; doubled for each further attempt."""

# --- What is kept, and for how long

REQUEST_RETENTION = 7 * DAY
"""The row of a finished authorization request: single-use outlives its window."""

BROWSER_RETENTION = 400 * DAY
"""A browser; also the longest life of its cookie (RFC 6265bis 5.5: 400 days)."""

LINK_RETENTION = 400 * DAY
"""An expired link is still known, so that it can be replaced by mail."""

SENT_MAIL_RETENTION = 3 * DAY
"""That a mail was sent; a stream holds its records for one day, and a mail may wait for another."""

TOLD_WITHIN = DAY
"""What is older is announced to nobody: no stream keeps a record longer (F35)."""

HEARD_WITHIN = 900
"""Longest silence of the journal's stream, through which each tick sends a heartbeat; like
`TellingLate` in infra/template/alarms.yaml."""

CALLER_PROOF_RETENTION = DAY
"""That a proof of who called was used: longer than it is valid, however the table's clock differs
from ours."""

REMINDER_KEPT = 2 * DAY
"""That a reminder was sent: longer than it may still be due."""

SECRET_RECOVERY = 30
"""Days for which a deleted secret can still be restored."""

# --- What counts as late

OVERDUE_AFTER = 120
"""After which a refresh that is due counts as overdue: the tick comes every minute."""

TICK_LATE = 180
"""After which the last tick counts as late."""

# --- Arithmetic of when a refresh is due

JITTER = 0.1
"""Largest share of the pause by which a tenant's refresh is moved ahead, fixed per tenant."""


def refresh_pause(tenant: str, lifetime: int, due_at: float) -> int:
    """Seconds from a token's issue to its refresh.

    ``due_at`` is the share of its life at which it is due: at the latest two minutes before its
    end, or after a third of it where that is later; never after more than a day. Moved ahead by a
    share fixed per tenant, so that tenants who connected together do not refresh together. One that
    is dead already waits like one that fails: a request each minute would help nobody.
    """
    if lifetime <= 0:
        return BACKOFF_CAP
    latest = max(lifetime / 3, lifetime - REFRESH_LEAD)
    pause = min(lifetime * due_at, latest)
    share = int.from_bytes(hashlib.sha256(tenant.encode()).digest()[1:5], "big") / 2**32
    return int(min(pause, LONGEST_REFRESH_PAUSE) * (1 - JITTER * share))


def dead_after(due_at: float) -> float:
    """Overdue for so many seconds, a tenant counts as without a token: what was not refreshed since
    has run out, if it lived for GoTo's hour."""
    return ASSUMED_LIFETIME * (1 - due_at)


def backoff(failures: int, alive_for: float, random: float) -> int:
    """Seconds until the next attempt after ``failures`` refreshes failed in a row.

    Exponential with full jitter and a cap; while the access token lives, a quarter of what is left
    at most, so that several attempts fit into it. ``random`` is uniform in [0, 1).
    """
    limit = min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(failures - 1, 10))
    if alive_for > 0:
        limit = min(limit, max(BACKOFF_BASE, alive_for / 4))
    return max(BACKOFF_LEAST, int(limit * random))
