"""All time constants and their reasons; in seconds unless a docstring says days. Pure.

They depend on each other: a request to GoTo takes less time than a function must have left to send
it, which is less than it must have left to start a tenant, and the lease outlasts the function.
`tests/unit/test_times.py` checks this, and the functions' timeouts in the template.
"""

from __future__ import annotations

import hashlib

DAY = 86_400

# --- The admin's visit

REQUEST_LIFETIME = 600
"""How long an authorization request stays open (S01: ten minutes at most)."""

RETURN_PATIENCE = 900
"""After a click, until we stop expecting the admin back: the request lives for ten minutes."""

PROCESSING_TIMEOUT = 60
"""After the callback, until the page stops waiting (F21)."""

TIME_TO_CHOOSE = 3_600
"""For an admin with several GoTo accounts to choose one; then the new tokens are revoked (S26)."""

TOLD_KEPT = 60
"""How long the page after a form can show the form's result."""

PAGE_RELOAD = 3
"""Between checks of the processing state without JavaScript; with it, page.js decides."""

NOTICE_SHOWN_FOR = 600
"""How long the page shows how the last authorization request ended."""

TOKEN_SHOWN_FOR = 600
"""How long the browser that completed an authorization may read the token (S18)."""

VISITOR_TOKEN_LIFETIME = 300
"""Maximum time from now to a visitor token's ``exp``: it only travels from HA's front to us, and
clocks may be off by a minute or two."""

SHARED_KEYS_KEPT = 60
"""How long shared keys are cached: a revoked key may keep working that long."""

STARTS_KEPT = 2 * DAY
"""How long a person's start counts are kept: the daily count must not restart within its day."""

MAIL_PAUSE = DAY
"""Between two mails with a fresh link to the same admin. Anyone with an old link can cause them,
and an admin who reports them as spam gets no more mail at all (S15, S29)."""

LINK_LIFETIME = 90 * DAY
"""How long a connect link works: the admin may come back to the mail within a quarter."""

INTAKE_LIFETIME = 14 * DAY
"""How long an intake link works, for one use: it accepts a secret."""

INTAKE_TIMEOUT = 23
"""For the intake's answer: longer than that function may run, shorter than the web function's
timeout. The call is never retried: the intake checks its values at GoTo."""

HSTS_LIFETIME = 2 * 365 * DAY
"""How long a browser insists on HTTPS (RFC 6797 6.1.1); browsers' preload lists ask for this."""

# --- Lifetimes of GoTo's tokens

ASSUMED_LIFETIME = 3_600
"""Of an access token whose answer has no usable ``expires_in`` (GoTo's own value)."""

LONGEST_LIFETIME = 10 * 365 * DAY
"""Longer ``expires_in`` and ``exp`` values are cut to this, so no date overflows its type."""

REFRESH_TOKEN_LIFETIME = 30 * DAY
"""Of a GoTo refresh token, from its issue, not from its last use."""

WARN_DAYS = (2, 7)
"""Days before the end of a grant when the admin is warned, most urgent first."""

REMINDED_AFTER = (1, 3, 7)
"""Days after a connection ends when we remind people to reconnect. The first mail makes it four;
after that the rep's list shows the tenant (`ha-goto status`)."""

REMINDER_WINDOW = 6 * 3_600
"""How late a due reminder is still sent: an outage of the tick loses none."""

REMINDER_TURN = 600
"""Between checks for due reminders."""

# --- When a refresh is due

REFRESH_LEAD = 120
"""A refresh is due, at the latest, when this much of the token's life is left: two ticks."""

LONGEST_REFRESH_PAUSE = DAY
"""Between refreshes: GoTo issues a new refresh token only when we ask."""

BACKOFF_LEAST = 5
BACKOFF_BASE = 30
BACKOFF_CAP = 900
"""Shortest, first and longest pause after a failed refresh."""

TICK_WORKS_FOR = 55.0
"""A tick starts requests during this part of its minute; the next tick's share comes after."""

TICK_IN_TIME = 60.0
"""A tick is on time if it takes less: the next one starts then."""

CONNECT_IN_TIME = 10.0
"""From the admin's return to the commit, promised to 95 of 100: about as long as people watch a
waiting page."""

CIRCUIT_TURN = 45
"""Minimum between decisions whether GoTo is down: a tick delivered twice decides once (F17)."""

# --- One refresh

ASK_DEADLINE = 30.0
"""For a whole token request; shorter than the timeout of every function that sends one, except the
intake's (`CHECK_DEADLINE`)."""

TIME_TO_ASK = 45.0
"""Minimum time left before calling GoTo: its 30 s deadline plus 15 s to store the answer. With
less, our lease may have expired and another worker may be calling."""

SECRET_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Between attempts to use a secret just created; the customer is waiting at the form."""

TIME_FOR_ONE = 60.0
"""Minimum time left before starting a tenant (F20)."""

LEASE_MARGIN = 300
"""How much longer a lease lasts than the function; also covers clocks five minutes apart (F15)."""

CONFIRM_PAUSE = 300
"""Between a refusal and its confirmation (F10, F11). Longer than the one to three minutes for which
GoTo has been seen at other servers to refuse valid grants, and than the two turns after which
many refusals count as GoTo's own problem (F26)."""

CONFIRM_ALONE = 1_200
"""The same if GoTo has issued no tokens to any tenant since the refusal: a small fleet can't tell a
dead grant from a bad quarter of an hour at GoTo any sooner (F26)."""

END_GRACE = DAY
"""After a refresh token's own end, how long we still try it if we couldn't ask GoTo: the outage may
end in that time, and GoTo may have extended the token (F25)."""

KEPT_AFTER_REFUSAL = 7 * DAY
"""How long the refresh token of an ended grant is kept: within a week somebody notices if GoTo was
wrong, and `ha-goto retry` then needs nobody at the customer (F26)."""

STUCK_AFTER = 6 * 3_600
"""After this long the rep hears of a tenant that alone gets no token: a GoTo outage is usually over
by then, and would affect everybody (F25)."""

LONGEST_WAIT = 3_600
"""The longest Retry-After that we honor: the life of an access token."""

RESCUE_PATIENCE = 3_600
"""After an unknown outcome, how long we don't ask GoTo while the rescue queue holds anything: it
may be this tenant's answer, and we must not send the old refresh token again. The queue delivers
ten times in this time; after that we ask GoTo, and it may answer. While anything waits we don't
believe a refusal, so that no admin must reconnect although the tokens may be in the queue (F10)."""

ANSWER_LOST_AFTER = DAY
"""After an unknown outcome, when we believe a refusal even if the rescue queue holds something:
each answer has been delivered ten times by then; whatever waits longer is a revocation."""

REVOKE_AGAIN = 300
"""Until we ask GoTo again to revoke a token: twice before the `RescueWaits` alarm, so that one
proxy error in between alerts nobody."""

KEEP_FIRST_PAUSE = 0.1
KEEP_LONGEST_PAUSE = 5.0
"""Between attempts to store tokens that GoTo has already issued; doubled each time."""

TIME_TO_COMMIT = 12.0
"""The longest one commit can take if DynamoDB hangs: all its attempts and a pause."""

TIME_TO_END = 5.0
"""No further attempt to store tokens may use this last part of the function's time."""

# --- A refresh on demand

LONGEST_MINIMUM = 1_800
"""The longest validity a service may ask for: half the life of GoTo's tokens."""

SETTLED_FOR = 60
"""After a refresh, how long no service can trigger another: the schedule runs as often."""

DEMAND_SAVED = 10
"""Unused requests on demand add up for this long: ten tokens rejected together need not wait for
one another, and a burst stays small."""

FACTS_AGAIN = 60
"""Until a rep may compare GoTo's answers again with the same tenant's client; also the life of the
ticket for it, which is used at once."""

DEMAND_AGAIN = 20
"""Until a service should ask again after others used up the rate for refreshes on demand."""

READ_AGAIN = 2
"""Until a service that met another worker should read the table again."""

WHILE_DOWN = 60
"""Until a service should ask again while GoTo counts as down: the next tick's probe."""

REFRESH_TIMEOUT = 45
"""For the answer to a rep's refresh: a request to GoTo and the work around it. Never retried."""

# --- Calls

OUTBOUND_CONNECT_TIMEOUT = 5.0
OUTBOUND_READ_TIMEOUT = 20.0
"""The read timeout is the time without a byte; GoTo usually answers in well under one second."""

PROBE_EVERY = 20 * 3_600
PROBE_JITTER = 5_400
"""Between two probes of a connection, and how far they spread. Even with a refresh on either side
and a second probe, a loss is found within a day (F33)."""

PROBE_CONFIRMED_AFTER = 600
"""Until a second probe checks a bad daily one: GoTo, too, refuses valid tokens for minutes."""

PROBE_GAP = 0.5
"""Between two probes by one function: they have their own rate, so refreshes never wait."""

LONGEST_PROBE = 5.0
"""A probe that takes longer means that the API hangs."""

PROBES_REST = 60.0
"""After such a probe, how long the function probes nobody."""

CHECK_DEADLINE = 10.0
"""To learn whether GoTo knows a client: a person is waiting, and the intake has no more time."""

REDIRECT_DEADLINE = 3.0
"""To learn whether GoTo knows a redirect URI. Short: it adds to `CHECK_DEADLINE`, and no answer
counts as yes."""

SIDE_DEADLINE = 8.0
"""For the account look-up and for a revocation: the admin is waiting."""

TIME_TO_READ_ACCOUNT = SIDE_DEADLINE + TIME_TO_COMMIT + TIME_TO_END
"""Minimum time left before looking up the account of new tokens, which are still to be stored."""

ACCOUNTS_IN_VAIN = 2 * SIDE_DEADLINE
"""After this much time without an answer an invocation looks up no more accounts: while that API
hangs, every tenant's refresh would wait for it."""

AWS_CONNECT_TIMEOUT = 2
AWS_READ_TIMEOUT = 8
AWS_ATTEMPTS = 3
"""For one call to an AWS service."""

KEEP_READ_TIMEOUT = 4
KEEP_ATTEMPTS = 2
"""The same for DynamoDB and SQS, which store GoTo's answers: if one hangs, there must be time for
the other. They usually answer within a tenth of a second."""

CALLER_DEADLINE = 5.0
"""For STS to identify a rep, who is waiting."""

CALLER_PROOF_LIFE = 60
"""How long a rep's proof of identity is valid, before and after the second that it names (S32). It
is used at once; the rest allows for clock differences. AWS would allow five minutes, but clocks set
by NTP differ by less than one minute, and the refusal says by how much."""

CONFLICT_PAUSE = 0.05
"""Before retrying a write that met a transaction; doubled for each further attempt."""

# --- How long records are kept

REQUEST_RETENTION = 7 * DAY
"""The row of a finished authorization request: single use must outlast its lifetime."""

BROWSER_RETENTION = 400 * DAY
"""A browser; also the longest life of its cookie (RFC 6265bis 5.5: 400 days)."""

LINK_RETENTION = 400 * DAY
"""An expired link is still recognized, so that we can mail a replacement."""

SENT_MAIL_RETENTION = 3 * DAY
"""That a mail was sent: a stream keeps records for one day, and a mail may wait for another."""

TOLD_WITHIN = DAY
"""Older entries are not announced: no stream keeps a record longer (F35)."""

HEARD_WITHIN = 900
"""Longest silence of the journal's stream, through which each tick sends a heartbeat; same as
`TellingLate` in infra/template/alarms.yaml."""

CALLER_PROOF_RETENTION = DAY
"""That a caller's proof was used: longer than it is valid, however far the table's clock is off."""

REMINDER_KEPT = 2 * DAY
"""That a reminder was sent: longer than it can still be due."""

SECRET_RECOVERY = 30
"""Days in which a deleted secret can still be restored."""

# --- What counts as late

OVERDUE_AFTER = 120
"""A due refresh counts as overdue after this long: the tick comes every minute."""

TICK_LATE = 180
"""The last tick counts as late after this long."""

# --- Arithmetic of when a refresh is due

JITTER = 0.1
"""Largest share of the pause by which a tenant's refresh is moved ahead, fixed per tenant."""


def refresh_pause(tenant: str, lifetime: int, due_at: float) -> int:
    """Seconds from a token's issue to its refresh.

    ``due_at`` is the share of its life after which it is due: at the latest two minutes before its
    end or after a third of its life, whichever is later; never after more than a day. Moved ahead
    by a share fixed per tenant, so that tenants who connected together don't refresh together. A
    token that is already dead waits like a failed refresh: a request each minute would help nobody.
    """
    if lifetime <= 0:
        return BACKOFF_CAP
    latest = max(lifetime / 3, lifetime - REFRESH_LEAD)
    pause = min(lifetime * due_at, latest)
    share = int.from_bytes(hashlib.sha256(tenant.encode()).digest()[1:5], "big") / 2**32
    return int(min(pause, LONGEST_REFRESH_PAUSE) * (1 - JITTER * share))


def dead_after(due_at: float) -> float:
    """Seconds overdue after which a tenant counts as without a token: by then a token with GoTo's
    one-hour life has expired."""
    return ASSUMED_LIFETIME * (1 - due_at)


def backoff(failures: int, alive_for: float, random: float) -> int:
    """Seconds until the next attempt after ``failures`` refreshes failed in a row.

    Exponential with full jitter and a cap; while the access token lives, at most a quarter of its
    remaining life, so that several attempts fit. ``random`` is uniform in [0, 1).
    """
    limit = min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(failures - 1, 10))
    if alive_for > 0:
        limit = min(limit, max(BACKOFF_BASE, alive_for / 4))
    return max(BACKOFF_LEAST, int(limit * random))
